// The filter: which records are kept, and how to find them in a batch. It joins the searches
// (literal-set.h, vectorscan.h) and the expression (expression.h); scan.h applies it to batches.
//
// A Filter never changes; copies share what it holds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "expression.h"
#include "literal-set.h"
#include "vectorscan.h"

namespace logpipe {

class Filter {
 public:
  enum class Way {
    Every,       // Each record is kept.
    None,        // None is.
    Places,      // A place that the search finds within a value is a hit.
    Inverted,    // A value without such a place is.
    Candidates,  // The record of a place is evaluated.
    Each,        // Nothing can be searched for: each record is evaluated.
  };

  // Patterns are any bytes. A record is kept when its value holds any of them; without patterns
  // each one is. invertMatch keeps the others. Throws std::invalid_argument on an empty pattern.
  Filter(std::vector<std::string> patterns, bool ignoreCase, bool invertMatch);
  // The JSON text of a Program or ProgramSet (src/core/expression/ast.ts); throws as expression.h
  // says.
  explicit Filter(const std::string& program);

  Way way() const;
  bool keeps(const RecordView& record) const;
  // Of a set of alternatives, and only of one: which of them hold.
  size_t alternatives() const;
  void judge(const RecordView& record, Verdict& verdict) const;
  bool asksForTopic() const;

  // What is searched for in the bytes of a batch, by Places, Inverted and Candidates: by one of
  // the two.
  const LiteralSet* literals() const;
  const Database* database() const;

  // "each", or what is searched for and by what: for people.
  std::string describe() const;

 private:
  struct Plan;
  std::shared_ptr<const Plan> plan_;
};

}  // namespace logpipe
