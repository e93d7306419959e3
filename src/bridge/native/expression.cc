// Expressions: see expression.h.
#include "expression.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>
#include <utility>

#include "regex-shape.h"
#include "scalar-test.h"

namespace logpipe {
namespace {

using Json = simdjson::dom::element;
using Op = ScalarTest::Op;

std::string_view viewOf(const RecordView::Text& text) {
  return {reinterpret_cast<const char*>(text.data), text.size};
}

// What a thread needs to evaluate; grows with the largest program and document it has seen.
struct Workspace {
  JsonReader json;
  std::vector<uint8_t> regexHits;
  std::vector<uint8_t> mayHold;
};

Workspace& workspace() {
  thread_local Workspace ofThread;
  return ofThread;
}

}  // namespace

// By what it costs to ask, the cheapest first.
struct Program::Node {
  enum class Kind : uint8_t {
    Topic,
    Key,
    Partition,
    Offset,
    Time,
    Header,
    Bytes,
    Regex,
    Field,
    All,
    Any,
    Not
  };
  Kind kind = Kind::All;
  std::vector<std::unique_ptr<Node>> of;
  std::unique_ptr<LiteralSet> bytes;  // Null: any value holds no bytes.
  std::vector<Literal> literals;      // The same, for the prefilter.
  uint32_t index = 0;                 // Of a regular expression, or of a field's slot.
  Expression regex;
  std::string name;  // Of a header.
  ScalarTest test;

  int cost() const {
    switch (kind) {
      case Kind::Bytes: return 1;
      case Kind::Regex: return 2;
      case Kind::Field: return 3;
      case Kind::All:
      case Kind::Any:
      case Kind::Not: {
        int most = 0;
        for (const auto& node : of) most = std::max(most, node->cost());
        return most;
      }
      default: return 0;
    }
  }
};

// Makes the tree.
class Program::Builder {
 public:
  explicit Builder(Program& program) : program_(program) {}

  // Takes one alternative. Nullopt: it names no literals.
  std::optional<Prefilter> alternative(Json json) {
    Alternative made;
    made.keep = node(field(json, "keep"), 0);
    const Json drop = field(json, "drop");
    if (!drop.is_null()) made.drop = node(drop, 0);
    program_.alternatives_.push_back(std::move(made));
    if (program_.alternatives_.size() > ALTERNATIVES_MAX) {
      refuse("there are more than " + std::to_string(ALTERNATIVES_MAX) + " alternatives");
    }
    const Json given = field(json, "prefilter");
    if (given.is_null()) return std::nullopt;
    Prefilter prefilter;
    for (Json one : array(given, "literals")) {
      prefilter.literals.push_back(literal(one));
      if (prefilter.literals.back().bytes.empty()) refuse("a literal has one byte or more");
    }
    return prefilter;
  }

  // Takes all alternatives of a group.
  void group(Json json, std::vector<std::optional<Prefilter>>& prefilters) {
    Group made{program_.alternatives_.size(), 0, boolean(json, "all")};
    for (Json one : array(json, "of")) prefilters.push_back(alternative(one));
    made.to = program_.alternatives_.size();
    program_.groups_.push_back(made);
  }

  std::unique_ptr<Node> node(Json json, size_t depth) {
    if (++nodes_ > NODES_MAX) refuse("there are more than " + std::to_string(NODES_MAX) + " nodes");
    if (depth > DEPTH_MAX) refuse("it is deeper than " + std::to_string(DEPTH_MAX));
    auto made = std::make_unique<Node>();
    const std::string kind = text(json, "kind");
    if (kind == "all" || kind == "any") {
      made->kind = kind == "all" ? Node::Kind::All : Node::Kind::Any;
      for (Json child : array(json, "of")) made->of.push_back(node(child, depth + 1));
      if (kind == "any") mergeAlternatives(*made);
      std::stable_sort(made->of.begin(), made->of.end(),
                       [](const auto& a, const auto& b) { return a->cost() < b->cost(); });
    } else if (kind == "not") {
      made->kind = Node::Kind::Not;
      made->of.push_back(node(field(json, "of"), depth + 1));
    } else if (kind == "bytes") {
      made->kind = Node::Kind::Bytes;
      setLiterals(*made, {literal(json)});
    } else if (kind == "regex") {
      made->kind = Node::Kind::Regex;
      made->regex = regex(json);
      made->index = static_cast<uint32_t>(regexes_.size());
      regexes_.push_back(made->regex);
    } else if (kind == "compare") {
      setTarget(*made, field(json, "target"));
      setTest(made->test, field(json, "test"));
    } else {
      refuse("there is no kind " + kind);
    }
    return made;
  }

  Literal literal(Json json) {
    const std::string hex = text(json, "hex");
    if (hex.size() % 2 != 0 ||
        hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      refuse("hex has two digits a byte");
    }
    Literal made;
    made.ignoreCase = boolean(json, "ignoreCase");
    for (size_t at = 0; at < hex.size(); at += 2) {
      made.bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
    }
    return made;
  }

  const std::vector<Expression>& regexes() const { return regexes_; }

  [[noreturn]] static void refuse(const std::string& why) {
    throw std::invalid_argument("this is no expression: " + why);
  }
  static Json field(Json json, const char* name) {
    Json found;
    if (json[name].get(found) != simdjson::SUCCESS) refuse(std::string(name) + " is missing");
    return found;
  }
  static simdjson::dom::array array(Json json, const char* name) {
    simdjson::dom::array found;
    if (json[name].get(found) != simdjson::SUCCESS) refuse(std::string(name) + " must be an array");
    return found;
  }

 private:
  static std::string textOf(Json json, const char* name) {
    std::string_view found;
    if (json.get(found) != simdjson::SUCCESS) refuse(std::string(name) + " must be a string");
    if (found.size() > TEXT_MAX) refuse(std::string(name) + " is too long");
    return std::string(found);
  }
  static std::string text(Json json, const char* name) { return textOf(field(json, name), name); }
  static bool boolean(Json json, const char* name) {
    bool found = false;
    if (json[name].get(found) != simdjson::SUCCESS)
      refuse(std::string(name) + " must be a boolean");
    return found;
  }
  static std::vector<std::string> texts(Json json, const char* name) {
    std::vector<std::string> found;
    for (Json one : array(json, name)) found.push_back(textOf(one, name));
    return found;
  }
  static Expression regex(Json json) {
    return Expression{text(json, "source"), boolean(json, "ignoreCase"), false};
  }

  static void setLiterals(Node& node, std::vector<Literal> literals) {
    node.literals = std::move(literals);
    for (const Literal& one : node.literals) {
      if (one.bytes.empty()) return;  // Any value holds it.
    }
    node.bytes = std::make_unique<LiteralSet>(node.literals);
  }

  void setTarget(Node& node, Json json) {
    const std::string of = text(json, "of");
    if (of == "field") {
      const std::vector<std::string> path = texts(json, "path");
      if (path.empty()) refuse("a path has one part or more");
      node.kind = Node::Kind::Field;
      node.index = program_.paths_.add(path);
    } else if (of == "header") {
      node.kind = Node::Kind::Header;
      node.name = text(json, "name");
    } else if (of == "topic") {
      node.kind = Node::Kind::Topic;
      program_.asksForTopic_ = true;
    } else if (of == "key") {
      node.kind = Node::Kind::Key;
    } else if (of == "partition") {
      node.kind = Node::Kind::Partition;
    } else if (of == "offset") {
      node.kind = Node::Kind::Offset;
    } else if (of == "time") {
      node.kind = Node::Kind::Time;
    } else {
      refuse("there is no target " + of);
    }
  }

  static void setTest(ScalarTest& test, Json json) {
    static const std::pair<const char*, Op> OPS[] = {
        {"exists", Op::Exists}, {"equals", Op::Equals},     {"wildcard", Op::Wildcard},
        {"<", Op::Below},       {"<=", Op::BelowOrAt},      {">", Op::Above},
        {">=", Op::AboveOrAt},  {"contains", Op::Contains}, {"regex", Op::Regex},
    };
    const std::string op = text(json, "op");
    const auto* found = std::find_if(std::begin(OPS), std::end(OPS),
                                     [&](const auto& one) { return op == one.first; });
    if (found == std::end(OPS)) refuse("there is no test " + op);
    test.op = found->second;
    if (test.op == Op::Wildcard) {
      test.parts = texts(json, "parts");
      if (test.parts.size() < 2) refuse("a wildcard has two parts or more");
    } else if (test.op == Op::Regex) {
      test.regex =
          std::make_unique<Database>(std::vector<Expression>{regex(json)}, Database::Report::Once);
    } else if (test.op != Op::Exists) {
      test.setText(text(json, "text"));
    }
  }

  // Any of a thousand literals is one search, any of a thousand texts one look-up.
  static void mergeAlternatives(Node& any) {
    std::vector<std::unique_ptr<Node>> merged;
    for (auto& one : any.of) {
      const auto alike = std::find_if(merged.begin(), merged.end(),
                                      [&](const auto& other) { return areAlike(*one, *other); });
      if (alike == merged.end()) {
        merged.push_back(std::move(one));
      } else if (one->kind == Node::Kind::Bytes) {
        (*alike)->literals.push_back(one->literals[0]);
      } else {
        ScalarTest& test = (*alike)->test;
        test.texts.insert(one->test.text);
        if (one->test.isNumber) test.numbers.push_back(one->test.number);
      }
    }
    for (auto& one : merged) {
      if (one->kind == Node::Kind::Bytes && one->literals.size() > 1) {
        setLiterals(*one, std::move(one->literals));
      }
    }
    any.of = std::move(merged);
  }

  // Of the literals and texts that come one by one; what was merged already stands by itself.
  static bool areAlike(const Node& one, const Node& other) {
    if (one.kind != other.kind) return false;
    if (one.kind == Node::Kind::Bytes) {
      return one.literals.size() == 1 && !one.literals[0].bytes.empty() &&
             !other.literals[0].bytes.empty() &&
             one.literals[0].ignoreCase == other.literals[0].ignoreCase;
    }
    return one.kind == Node::Kind::Field && one.index == other.index && one.test.op == Op::Equals &&
           other.test.op == Op::Equals;
  }

  Program& program_;
  size_t nodes_ = 0;
  std::vector<Expression> regexes_;
};

// One record's way through the tree.
class Program::Evaluation {
 public:
  Evaluation(const Program& program, const RecordView& record)
      : program_(program), record_(record), work_(workspace()) {}

  bool isTrue(const Node& node) {
    switch (node.kind) {
      case Node::Kind::All:
        return std::all_of(node.of.begin(), node.of.end(),
                           [&](const auto& one) { return isTrue(*one); });
      case Node::Kind::Any:
        return std::any_of(node.of.begin(), node.of.end(),
                           [&](const auto& one) { return isTrue(*one); });
      case Node::Kind::Not: return !isTrue(*node.of[0]);
      case Node::Kind::Bytes: return holdsBytes(node);
      case Node::Kind::Regex: return matches(node.index);
      case Node::Kind::Field: return fieldMeets(node);
      case Node::Kind::Topic: return node.test.meets(ScalarKind::String, record_.topic);
      case Node::Kind::Key:
        return record_.key.data != nullptr &&
               node.test.meets(ScalarKind::String, viewOf(record_.key));
      case Node::Kind::Partition: return numberMeets(node, record_.partition);
      case Node::Kind::Offset: return numberMeets(node, record_.offset);
      case Node::Kind::Time: return record_.timestamp != -1 && numberMeets(node, record_.timestamp);
      case Node::Kind::Header: return headerMeets(node);
    }
    return false;
  }

 private:
  bool holdsBytes(const Node& node) const {
    return node.bytes == nullptr || node.bytes->holds(record_.value.data, record_.value.size);
  }

  bool matches(uint32_t index) {
    if (record_.value.data == nullptr) return false;
    if (program_.regexCount_ == 1) {
      return program_.regexes_->holds(record_.value.data, record_.value.size);
    }
    if (!areRegexesKnown_) {
      areRegexesKnown_ = true;
      work_.regexHits.assign(program_.regexCount_, 0);
      program_.regexes_->scan(
          record_.value.data, record_.value.size,
          [](void* hits, uint32_t id, size_t) {
            static_cast<uint8_t*>(hits)[id] = 1;
            return true;
          },
          work_.regexHits.data());
    }
    return work_.regexHits[index] != 0;
  }

  bool fieldMeets(const Node& node) {
    if (!isParsed_) {
      isParsed_ = true;
      isObject_ = record_.value.data != nullptr &&
                  work_.json.read(program_.paths_, record_.value.data, record_.value.size);
    }
    if (!isObject_) return false;
    for (uint32_t at = work_.json.first(node.index); at != JsonReader::NONE;) {
      const JsonValue& value = work_.json.value(at);
      if (valueMeets(node.test, value)) return true;
      at = value.next;
    }
    return false;
  }

  bool valueMeets(const ScalarTest& test, const JsonValue& value) {
    switch (value.kind) {
      case JsonValue::Kind::Replaced:
      case JsonValue::Kind::Null: return false;
      case JsonValue::Kind::Object: return test.op == Op::Exists;
      default: break;
    }
    if (test.op == Op::Exists) return true;
    const ScalarKind kind = value.kind == JsonValue::Kind::String   ? ScalarKind::String
                            : value.kind == JsonValue::Kind::Number ? ScalarKind::Number
                                                                    : ScalarKind::Boolean;
    return test.meets(kind, work_.json.text(value));
  }

  static bool numberMeets(const Node& node, int64_t number) {
    return node.test.meets(ScalarKind::Number, std::to_string(number));
  }

  bool headerMeets(const Node& node) const {
    if (record_.eachHeader == nullptr) return false;
    struct Asked {
      const Node& node;
      bool isMet;
    } asked{node, false};
    record_.eachHeader(
        record_.headers,
        [](void* context, std::string_view name, const RecordView::Text& value) {
          auto& about = *static_cast<Asked*>(context);
          if (name != about.node.name) return true;
          const ScalarTest& test = about.node.test;
          about.isMet = value.data == nullptr ? test.op == Op::Exists
                                              : test.meets(ScalarKind::String, viewOf(value));
          return !about.isMet;
        },
        &asked);
    return asked.isMet;
  }

  const Program& program_;
  const RecordView& record_;
  Workspace& work_;
  bool areRegexesKnown_ = false;
  bool isParsed_ = false;
  bool isObject_ = false;
};

namespace {

// What the value must hold one of, so that the node can be true; nullopt: nothing is known. As few
// as possible, for of the parts of an `all` one is enough.
template <typename Node>
std::optional<Prefilter> requiredBy(const Node& node) {
  using Kind = typename Node::Kind;
  switch (node.kind) {
    case Kind::Bytes:
      if (node.bytes == nullptr) return std::nullopt;
      return Prefilter{node.literals, {}};
    case Kind::Regex: {
      std::optional<WeakerRegex> weaker = weakerRegex(node.regex.source);
      if (!weaker.has_value()) return std::nullopt;
      const bool ignoreCase = node.regex.ignoreCase;
      if (weaker->isLiteral) return Prefilter{{Literal{std::move(weaker->source), ignoreCase}}, {}};
      return Prefilter{{}, {Expression{std::move(weaker->source), ignoreCase, false}}};
    }
    case Kind::Any: {
      Prefilter all;
      for (const auto& one : node.of) {
        std::optional<Prefilter> part = requiredBy(*one);
        if (!part.has_value()) return std::nullopt;
        std::move(part->literals.begin(), part->literals.end(), std::back_inserter(all.literals));
        std::move(part->weaker.begin(), part->weaker.end(), std::back_inserter(all.weaker));
      }
      return all;
    }
    case Kind::All: {
      std::optional<Prefilter> best;
      for (const auto& one : node.of) {
        std::optional<Prefilter> part = requiredBy(*one);
        if (!part.has_value()) continue;
        const auto size = [](const Prefilter& of) {
          return of.literals.size() + 4 * of.weaker.size();
        };
        if (!best.has_value() || size(*part) < size(*best)) best = std::move(part);
      }
      return best;
    }
    default: return std::nullopt;
  }
}

}  // namespace

Program::Program(const std::string& json) {
  simdjson::dom::parser parser;
  Json root;
  if (parser.parse(json).get(root) != simdjson::SUCCESS) Builder::refuse("it is no JSON");
  Builder builder(*this);
  std::vector<std::optional<Prefilter>> prefilters;
  Json groups;
  isSet_ = root["groups"].get(groups) == simdjson::SUCCESS;
  if (isSet_) {
    for (Json one : Builder::array(root, "groups")) builder.group(one, prefilters);
    if (alternatives_.empty()) Builder::refuse("a set has one alternative or more");
  } else {
    prefilters.push_back(builder.alternative(root));
  }
  regexCount_ = static_cast<uint32_t>(builder.regexes().size());
  if (regexCount_ > 0) {
    regexes_ = std::make_unique<Database>(builder.regexes(), Database::Report::Once);
  }
  joinPrefilters(std::move(prefilters));
  if (!isSet_) findPlain();
}

// The search finds what any alternative needs; nullopt when one of them needs nothing.
void Program::joinPrefilters(std::vector<std::optional<Prefilter>> each) {
  Prefilter joined;
  bool hasNone = false;
  shortlist_ = std::make_unique<Shortlist>(alternatives_.size());
  std::set<std::pair<std::string, bool>> known;
  for (size_t index = 0; index < each.size(); index++) {
    std::optional<Prefilter> one = std::move(each[index]);
    if (!one.has_value()) one = requiredBy(*alternatives_[index].keep);
    if (!one.has_value()) {
      shortlist_->mayAlwaysHold(index);
      hasNone = true;
      continue;
    }
    Prefilter needs = *std::move(one);
    if (needs.weaker.empty()) {
      shortlist_->needsOneOf(index, needs.literals);
    } else {
      shortlist_->mayAlwaysHold(index);
    }
    for (Literal& literal : needs.literals) {
      if (!known.emplace(literal.bytes, literal.ignoreCase).second) continue;
      joined.literals.push_back(std::move(literal));
    }
    std::move(needs.weaker.begin(), needs.weaker.end(), std::back_inserter(joined.weaker));
  }
  if (!hasNone) prefilter_ = std::move(joined);
  if (!isSet_ || !shortlist_->finish()) shortlist_.reset();
}

void Program::findPlain() {
  const auto& [keep, drop] = alternatives_.front();
  const bool keepsAll = keep->kind == Node::Kind::All && keep->of.empty();
  const Node* node = drop == nullptr ? keep.get() : keepsAll ? drop.get() : nullptr;
  bool isInverted = node != nullptr && node == drop.get();
  while (node != nullptr && node->of.size() == 1) {
    if (node->kind == Node::Kind::Not) isInverted = !isInverted;
    node = node->of[0].get();
  }
  if (node == nullptr || node->kind != Node::Kind::Bytes || node->bytes == nullptr) return;
  plain_.emplace();
  for (const Literal& one : node->literals) plain_->literals.push_back(one.bytes);
  plain_->ignoreCase = node->literals[0].ignoreCase;
  plain_->isInverted = isInverted;
}

Program::~Program() = default;

bool Program::keeps(const RecordView& record) const {
  if (isSet_) {
    Verdict verdict;
    judge(record, verdict);
    return !verdict.hits.empty();
  }
  const auto& [keep, drop] = alternatives_.front();
  Evaluation evaluation(*this, record);
  return evaluation.isTrue(*keep) && (drop == nullptr || !evaluation.isTrue(*drop));
}

void Program::judge(const RecordView& record, Verdict& verdict) const {
  verdict.hits.clear();
  verdict.droppedBy = Verdict::NONE;
  std::vector<uint8_t>& mayHold = workspace().mayHold;
  if (shortlist_ != nullptr) shortlist_->search(record.value.data, record.value.size, mayHold);
  Evaluation evaluation(*this, record);
  for (const Group& group : groups_) {
    const size_t before = verdict.hits.size();
    int32_t droppedBy = Verdict::NONE;
    for (size_t index = group.from; index < group.to; index++) {
      if (shortlist_ != nullptr && mayHold[index] == 0) continue;
      const Alternative& one = alternatives_[index];
      if (!evaluation.isTrue(*one.keep)) continue;
      if (one.drop != nullptr && evaluation.isTrue(*one.drop)) {
        if (droppedBy == Verdict::NONE) droppedBy = static_cast<int32_t>(index);
        continue;
      }
      verdict.hits.push_back(static_cast<uint16_t>(index));
      if (!group.isEach) break;
    }
    if (&group == &groups_.front() && verdict.hits.size() == before) verdict.droppedBy = droppedBy;
  }
}

}  // namespace logpipe
