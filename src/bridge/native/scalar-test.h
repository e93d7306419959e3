// One test of one scalar: what stands behind a field, a key, a header. src/core/expression/ast.ts
// says what each means. Never changes once it is made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "json-fields.h"
#include "vectorscan.h"

namespace logpipe {

enum class ScalarKind : uint8_t { String, Number, Boolean };

// `Equals` may have many texts: any of them.
struct ScalarTest {
  enum class Op : uint8_t {
    Exists,
    Equals,
    Wildcard,
    Below,
    BelowOrAt,
    Above,
    AboveOrAt,
    Contains,
    Regex
  };
  Op op = Op::Exists;
  std::string text;
  std::vector<std::string> parts;
  bool isNumber = false;
  JsonNumber number;
  std::unique_ptr<Database> regex;
  // More texts of Equals, and those of them that are numbers.
  std::unordered_set<std::string> texts;
  std::vector<JsonNumber> numbers;

  void setText(std::string_view wanted);
  bool meets(ScalarKind kind, std::string_view scalar) const;

 private:
  bool equals(ScalarKind kind, std::string_view scalar) const;
  bool isOrdered(ScalarKind kind, std::string_view scalar) const;
  bool matchesParts(std::string_view scalar) const;
};

}  // namespace logpipe
