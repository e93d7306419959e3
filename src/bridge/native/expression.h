// An expression: whether a record is kept, by its value's bytes, the fields of its JSON, its key,
// headers and place. The tree comes as JSON text; src/core/expression/ast.ts says what each node
// means. Plain C++20 but for Vectorscan and simdjson.
//
// A program is one expression, or a set of alternatives in groups (rules, metrics): then the answer
// is which of them hold. All of them share what is found out about a record.
//
// A Program never changes once it is made, so any number of threads may evaluate it at the same
// time. What is cheap is asked first; the value is parsed, and searched for all regular
// expressions, once for a record, when the first node asks.
//
// Bounds: NODES_MAX nodes, DEPTH_MAX deep, TEXT_MAX bytes in one text, ALTERNATIVES_MAX; see
// vectorscan.h for regular expressions and json-fields.h for documents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json-fields.h"
#include "literal-set.h"
#include "shortlist.h"
#include "vectorscan.h"

namespace logpipe {

// What an expression may ask a record for. Null data: there is none, which is not the same as
// empty.
struct RecordView {
  struct Text {
    const uint8_t* data = nullptr;
    size_t size = 0;
  };
  // Calls take(context, name, value) for each header, until it returns false.
  using TakeHeader = bool (*)(void* context, std::string_view name, const Text& value);
  using EachHeader = void (*)(const void* headers, TakeHeader take, void* context);

  Text value;
  Text key;
  std::string_view topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp = -1;  // Ms; -1: none.
  const void* headers = nullptr;
  EachHeader eachHeader = nullptr;
};

// What the value of every kept record holds one of, whatever stands beside it.
struct Prefilter {
  std::vector<Literal> literals;
  std::vector<Expression> weaker;  // Regular expressions: weakerRegex.
};

// Which alternatives a record meets.
struct Verdict {
  static constexpr int32_t NONE = -1;

  std::vector<uint16_t> hits;  // By their number over all groups, ascending. None: not kept.
  // Where nothing of the first group is met: its first one that would be, but for its `drop`.
  int32_t droppedBy = NONE;
};

class Program {
 public:
  // Of the whole set. A thousand rules, and as many metrics.
  static constexpr size_t ALTERNATIVES_MAX = 2000;
  static constexpr size_t NODES_MAX = 10000;
  static constexpr size_t DEPTH_MAX = 64;
  // EXPRESSION_TEXT_MAX characters of JSON, each three bytes of UTF-8.
  static constexpr size_t TEXT_MAX = 4096;

  // Throws std::invalid_argument when the JSON is no program, RegexFault for a regular expression.
  explicit Program(const std::string& json);
  ~Program();

  bool keeps(const RecordView& record) const;
  // Of a set.
  void judge(const RecordView& record, Verdict& verdict) const;
  // How many alternatives; 0: it is one expression, and no set.
  size_t alternatives() const { return isSet_ ? alternatives_.size() : 0; }

  // Nullopt: none, each record is to be evaluated.
  const std::optional<Prefilter>& prefilter() const { return prefilter_; }

  // What a plain search for literals decides alone: kept is what holds one of them (or, inverted,
  // what holds none). All literals fold alike.
  struct Plain {
    std::vector<std::string> literals;
    bool ignoreCase = false;
    bool isInverted = false;
  };
  const std::optional<Plain>& plain() const { return plain_; }
  bool asksForTopic() const { return asksForTopic_; }

 private:
  struct Node;
  class Builder;
  class Evaluation;

  // Kept is what meets `keep` and not `drop`, which may be null.
  struct Alternative {
    std::unique_ptr<Node> keep;
    std::unique_ptr<Node> drop;
  };
  // Alternatives [from, to). isEach: all that hold are hits, and otherwise the first one.
  struct Group {
    size_t from;
    size_t to;
    bool isEach;
  };

  void joinPrefilters(std::vector<std::optional<Prefilter>> each);
  void findPlain();

  std::vector<Alternative> alternatives_;
  std::vector<Group> groups_;
  bool isSet_ = false;
  std::unique_ptr<Shortlist> shortlist_;  // Null: each alternative is asked.
  FieldPaths paths_;
  std::unique_ptr<Database> regexes_;  // All of the value, by number.
  uint32_t regexCount_ = 0;
  std::optional<Prefilter> prefilter_;
  std::optional<Plain> plain_;
  bool asksForTopic_ = false;
};

}  // namespace logpipe
