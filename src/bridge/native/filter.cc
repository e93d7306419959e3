// Filters: see filter.h.
#include "filter.h"

#include <algorithm>
#include <utility>

namespace logpipe {

struct Filter::Plan {
  Way way = Way::Every;
  std::unique_ptr<Program> program;  // Null: `way` and the search decide.
  std::unique_ptr<LiteralSet> literals;
  std::unique_ptr<Database> database;

  // Whether there is anything to search for.
  bool searchFor(const Prefilter& prefilter) {
    if (prefilter.weaker.empty()) {
      if (prefilter.literals.empty()) return false;
      literals = std::make_unique<LiteralSet>(prefilter.literals);
      return true;
    }
    std::vector<Expression> expressions = prefilter.weaker;
    for (const Literal& one : prefilter.literals) {
      expressions.push_back(Expression{one.bytes, one.ignoreCase, true});
    }
    try {
      database = std::make_unique<Database>(expressions, Database::Report::EachEnd);
    } catch (const RegexFault&) {
      return false;  // Too large together, or not understood: records are evaluated one by one.
    }
    return true;
  }
};

Filter::Filter(std::vector<std::string> patterns, bool ignoreCase, bool invertMatch) {
  auto plan = std::make_shared<Plan>();
  if (patterns.empty()) {
    plan->way = invertMatch ? Way::None : Way::Every;
  } else {
    plan->way = invertMatch ? Way::Inverted : Way::Places;
    std::vector<Literal> literals;
    for (std::string& pattern : patterns) {
      literals.push_back(Literal{std::move(pattern), ignoreCase});
    }
    plan->literals = std::make_unique<LiteralSet>(literals);
  }
  plan_ = std::move(plan);
}

Filter::Filter(const std::string& json) {
  auto program = std::make_unique<Program>(json);
  if (program->plain().has_value()) {
    const Program::Plain& plain = *program->plain();
    *this = Filter(plain.literals, plain.ignoreCase, plain.isInverted);
    return;
  }
  auto plan = std::make_shared<Plan>();
  const bool isFound = program->prefilter().has_value() && plan->searchFor(*program->prefilter());
  plan->way = isFound ? Way::Candidates : Way::Each;
  plan->program = std::move(program);
  plan_ = std::move(plan);
}

Filter::Way Filter::way() const { return plan_->way; }
const LiteralSet* Filter::literals() const { return plan_->literals.get(); }
const Database* Filter::database() const { return plan_->database.get(); }
bool Filter::asksForTopic() const {
  return plan_->program != nullptr && plan_->program->asksForTopic();
}

bool Filter::keeps(const RecordView& record) const {
  if (plan_->program != nullptr) return plan_->program->keeps(record);
  if (plan_->way == Way::Every || plan_->way == Way::None) return plan_->way == Way::Every;
  const bool isFound = plan_->literals->holds(record.value.data, record.value.size);
  return isFound == (plan_->way == Way::Places);
}

size_t Filter::alternatives() const {
  return plan_->program == nullptr ? 0 : plan_->program->alternatives();
}

void Filter::judge(const RecordView& record, Verdict& verdict) const {
  plan_->program->judge(record, verdict);
}

std::string Filter::describe() const {
  switch (plan_->way) {
    case Way::Every: return "every record";
    case Way::None: return "no record";
    case Way::Each: return "each record is evaluated";
    default: break;
  }
  const std::string by = plan_->database == nullptr ? plan_->literals->describe()
                                                    : "Vectorscan " + vectorscanVersion();
  return (plan_->way == Way::Candidates ? "candidates by " : "decided by ") + by;
}

}  // namespace logpipe
