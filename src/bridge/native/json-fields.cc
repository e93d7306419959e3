// Fields of JSON objects: see json-fields.h.
#include "json-fields.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <new>

namespace logpipe {
namespace {

bool isBefore(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

bool isDigit(uint8_t c) { return c >= '0' && c <= '9'; }

int hexDigit(uint8_t c) {
  if (isDigit(c)) return c - '0';
  const uint8_t lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The four hex digits at `at`; -1: they are none.
int32_t codeUnit(const uint8_t* at) {
  int32_t unit = 0;
  for (int i = 0; i < 4; i++) {
    const int digit = hexDigit(at[i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

// What a letter behind a backslash stands for; 0: nothing.
constexpr std::array<uint8_t, 256> ESCAPES = [] {
  std::array<uint8_t, 256> table{};
  table['"'] = '"';
  table['\\'] = '\\';
  table['/'] = '/';
  table['b'] = '\b';
  table['f'] = '\f';
  table['n'] = '\n';
  table['r'] = '\r';
  table['t'] = '\t';
  return table;
}();

constexpr std::array<bool, 256> BLANKS = [] {
  std::array<bool, 256> table{};
  table[' '] = table['\t'] = table['\n'] = table['\r'] = true;
  return table;
}();

void putUtf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
    return;
  }
  if (point < 0x800) {
    out += static_cast<char>(0xc0 | point >> 6);
  } else {
    if (point < 0x10000) {
      out += static_cast<char>(0xe0 | point >> 12);
    } else {
      out += static_cast<char>(0xf0 | point >> 18);
      out += static_cast<char>(0x80 | (point >> 12 & 0x3f));
    }
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
  }
  out += static_cast<char>(0x80 | (point & 0x3f));
}

// The escapes of [at, end) were checked. A surrogate without its other half is U+FFFD.
void decode(const uint8_t* at, const uint8_t* end, std::string& out) {
  out.clear();
  while (at < end) {
    const auto* slash =
        static_cast<const uint8_t*>(std::memchr(at, '\\', static_cast<size_t>(end - at)));
    const uint8_t* plainEnd = slash == nullptr ? end : slash;
    out.append(reinterpret_cast<const char*>(at), static_cast<size_t>(plainEnd - at));
    if (slash == nullptr) return;
    if (slash[1] != 'u') {
      out += static_cast<char>(ESCAPES[slash[1]]);
      at = slash + 2;
      continue;
    }
    auto point = static_cast<uint32_t>(codeUnit(slash + 2));
    at = slash + 6;
    if (point >= 0xd800 && point < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
      const auto low = static_cast<uint32_t>(codeUnit(at + 2));
      if (low >= 0xdc00 && low < 0xe000) {
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
    }
    putUtf8(out, point >= 0xd800 && point < 0xe000 ? 0xfffd : point);
  }
}

// Behind the JSON number that begins at `at`; nullptr: there is none.
const uint8_t* numberEnd(const uint8_t* at, const uint8_t* end) {
  if (at < end && *at == '-') at++;
  if (at == end || !isDigit(*at)) return nullptr;
  if (*at++ != '0') {
    while (at < end && isDigit(*at)) at++;
  }
  if (at < end && *at == '.') {
    if (++at == end || !isDigit(*at)) return nullptr;
    while (at < end && isDigit(*at)) at++;
  }
  if (at < end && (*at | 0x20) == 'e') {
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    if (at == end || !isDigit(*at)) return nullptr;
    while (at < end && isDigit(*at)) at++;
  }
  return at;
}

// Large documents take much memory: one at a time in the process.
std::mutex& largeDocuments() {
  static auto* const mutex = new std::mutex;
  return *mutex;
}

}  // namespace

uint32_t FieldPaths::add(const std::vector<std::string>& parts) {
  // A part that holds dots is as good as several.
  std::vector<std::string> keys(1);
  for (size_t index = 0; index < parts.size(); index++) {
    if (index > 0) keys.emplace_back();
    for (const char c : parts[index]) {
      if (c == '.')
        keys.emplace_back();
      else
        keys.back() += c;
    }
  }
  std::vector<uint32_t> way{0};
  for (const std::string& key : keys) way.push_back(child(way.back(), key));
  for (size_t from = 0; from < keys.size(); from++) {
    std::string joined = keys[from];
    for (size_t to = from + 2; to < way.size(); to++) {
      joined += '.';
      joined += keys[to - 1];
      link(way[from], joined, way[to]);
    }
  }
  Node& last = nodes_[way.back()];
  if (last.slot < 0) last.slot = static_cast<int32_t>(slots_++);
  return static_cast<uint32_t>(last.slot);
}

uint32_t FieldPaths::child(uint32_t node, const std::string& key) {
  if (const Edge* edge = find(node, key)) return edge->node;
  const auto added = static_cast<uint32_t>(nodes_.size());
  nodes_.emplace_back();
  link(node, key, added);
  return added;
}

void FieldPaths::link(uint32_t from, const std::string& key, uint32_t to) {
  if (find(from, key) != nullptr) return;
  auto& edges = nodes_[from].edges;
  const auto place = std::find_if(edges.begin(), edges.end(),
                                  [&](const Edge& edge) { return isBefore(key, edge.key); });
  edges.insert(place, Edge{key, edges_++, to});
}

const FieldPaths::Edge* FieldPaths::find(uint32_t node, std::string_view key) const {
  const auto& edges = nodes_[node].edges;
  constexpr size_t FEW = 8;
  if (edges.size() <= FEW) {
    for (const Edge& edge : edges) {
      if (edge.key == key) return &edge;
    }
    return nullptr;
  }
  const auto found = std::lower_bound(
      edges.begin(), edges.end(), key,
      [](const Edge& edge, std::string_view wanted) { return isBefore(edge.key, wanted); });
  return found != edges.end() && found->key == key ? &*found : nullptr;
}

struct JsonReader::Structure {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  size_t capacity = 0;

  // Where the tokens begin; false: no UTF-8, an open string, a control character within one.
  bool find(const uint8_t* data, size_t size) {
    if (size > capacity || parser == nullptr) grow(size);
    return parser->stage1(data, size, simdjson::stage1_mode::regular) == simdjson::SUCCESS;
  }

 private:
  void grow(size_t size) {
    const size_t wanted = std::max<size_t>(size + size / 4, 4096);
    parser.reset();
    capacity = 0;
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(
            wanted, DEPTH_MAX, parser) != simdjson::SUCCESS) {
      throw std::bad_alloc();
    }
    capacity = wanted;
  }
};

// One function out of all: what is known of the place then lies in registers.
#define INLINE __attribute__((always_inline)) inline

// One pass over the tokens.
class JsonReader::Walk {
 public:
  Walk(JsonReader& reader, const FieldPaths& paths)
      : reader_(reader),
        paths_(paths),
        data_(reader.data_),
        token_(reader.structure_->parser->structural_indexes.get()),
        end_(token_ + reader.structure_->parser->n_structural_indexes),
        mayEscape_(std::memchr(data_, '\\', reader.size_) != nullptr) {}

  // Whether it is one object.
  bool go() {
    if (token_ == end_ || sign() != '{') return false;
    if (!open(0, nullptr)) return false;
    while (depth_ > 0) {
      if (token_ == end_) return false;
      const Frame& in = frame();
      if (sign() == (in.isObject ? '}' : ']')) {
        close();
        continue;
      }
      uint32_t node = in.node;
      const FieldPaths::Edge* edge = nullptr;
      if (!separator() || (in.isObject && !key(node, edge)) || !value(node, edge)) return false;
    }
    return token_ == end_;
  }

 private:
  static constexpr uint32_t NOWHERE = UINT32_MAX;

  struct Frame {
    uint64_t object;
    const FieldPaths::Edge* edge;  // Whose value this is, if it is one.
    uint32_t node;
    bool isObject;
    bool isFirst;
  };

  Frame& frame() { return frames_[depth_ - 1]; }
  uint8_t sign() const { return data_[*token_]; }
  const uint8_t* at() const { return data_ + *token_; }
  // Where the next token begins; behind the last one simdjson puts the size of the document.
  const uint8_t* next() const { return data_ + token_[1]; }

  INLINE bool open(uint32_t node, const FieldPaths::Edge* edge) {
    if (depth_ == DEPTH_MAX) return false;
    const bool isObject = sign() == '{';
    frames_[depth_++] = Frame{isObject ? ++reader_.objects_ : 0, edge, node, isObject, true};
    token_++;
    return true;
  }

  INLINE void close() {
    const Frame& closed = frame();
    if (closed.edge != nullptr) reader_.marks_[closed.edge->index].to = count();
    depth_--;
    token_++;
  }

  uint32_t count() const { return static_cast<uint32_t>(reader_.values_.size()); }

  // The comma before what is not the first; false: it is not there, or nothing is behind it.
  INLINE bool separator() {
    if (frame().isFirst) {
      frame().isFirst = false;
      return true;
    }
    if (sign() != ',') return false;
    token_++;
    return token_ != end_;
  }

  // The key and its colon: to which node it leads, if to any.
  INLINE bool key(uint32_t& node, const FieldPaths::Edge*& edge) {
    if (sign() != '"') return false;
    const uint8_t* begin = at() + 1;
    bool isEscaped = false;
    const uint8_t* end = stringEnd(isEscaped);
    if (end == nullptr) return false;
    token_++;
    if (token_ == end_ || sign() != ':') return false;
    token_++;
    if (token_ == end_) return false;
    if (node == NOWHERE) return true;
    std::string_view name(reinterpret_cast<const char*>(begin), static_cast<size_t>(end - begin));
    if (isEscaped) {
      decode(begin, end, reader_.decoded_);
      name = reader_.decoded_;
    }
    edge = paths_.find(node, name);
    node = edge == nullptr ? NOWHERE : edge->node;
    if (edge != nullptr) take(*edge);
    return true;
  }

  // Of a key that stands twice in an object the last one counts.
  void take(const FieldPaths::Edge& edge) {
    Mark& mark = reader_.marks_[edge.index];
    if (mark.object == frame().object) {
      for (uint32_t index = mark.from; index < mark.to; index++) {
        reader_.values_[index].kind = JsonValue::Kind::Replaced;
      }
    }
    mark = Mark{frame().object, count(), count()};
  }

  // A value for the paths that end or go on at the node.
  INLINE bool value(uint32_t node, const FieldPaths::Edge* edge) {
    const int32_t slot = node == NOWHERE ? -1 : paths_.node(node).slot;
    switch (sign()) {
      case '{':
        if (slot >= 0 && !note(slot, JsonValue::Kind::Object, false, at(), at())) return false;
        return open(node, edge);
      case '[': return open(node, edge);
      case '"': {
        const uint8_t* begin = at() + 1;
        bool isEscaped = false;
        const uint8_t* end = stringEnd(isEscaped);
        return end != nullptr && scalar(slot, edge, JsonValue::Kind::String, isEscaped, begin, end);
      }
      case 't': return word(slot, edge, "true", JsonValue::Kind::Boolean);
      case 'f': return word(slot, edge, "false", JsonValue::Kind::Boolean);
      case 'n': return word(slot, edge, "null", JsonValue::Kind::Null);
      default: {
        const uint8_t* end = numberEnd(at(), next());
        return end != nullptr && isBlank(end, next()) &&
               scalar(slot, edge, JsonValue::Kind::Number, false, at(), end);
      }
    }
  }

  INLINE bool word(int32_t slot, const FieldPaths::Edge* edge, std::string_view text,
                   JsonValue::Kind kind) {
    const uint8_t* end = next();
    if (static_cast<size_t>(end - at()) < text.size()) return false;
    if (std::memcmp(at(), text.data(), text.size()) != 0) return false;
    if (!isBlank(at() + text.size(), end)) return false;
    return scalar(slot, edge, kind, false, at(), at() + text.size());
  }

  INLINE bool scalar(int32_t slot, const FieldPaths::Edge* edge, JsonValue::Kind kind,
                     bool isEscaped, const uint8_t* begin, const uint8_t* end) {
    if (slot >= 0 && !note(slot, kind, isEscaped, begin, end)) return false;
    if (edge != nullptr) reader_.marks_[edge->index].to = count();
    token_++;
    return true;
  }

  INLINE bool note(int32_t slot, JsonValue::Kind kind, bool isEscaped, const uint8_t* begin,
                   const uint8_t* end) {
    if (count() == VALUES_MAX) return true;
    uint32_t& head = reader_.heads_[static_cast<size_t>(slot)];
    reader_.values_.push_back(JsonValue{kind, isEscaped, static_cast<uint32_t>(slot), head,
                                        static_cast<uint32_t>(begin - data_),
                                        static_cast<uint32_t>(end - begin)});
    head = count() - 1;
    return true;
  }

  // The closing quote of the string that begins here; nullptr: an escape in it is none, or
  // something stands behind it that belongs to nothing.
  INLINE const uint8_t* stringEnd(bool& isEscaped) {
    const uint8_t* const behind = next();
    if (!mayEscape_) {
      const uint8_t* last = behind - 1;
      while (last > at() && BLANKS[*last]) last--;
      return last > at() && *last == '"' ? last : nullptr;
    }
    const uint8_t* from = at() + 1;
    for (;;) {
      while (from < behind && *from != '"' && *from != '\\') from++;
      if (from >= behind) return nullptr;
      if (*from == '"') return isBlank(from + 1, behind) ? from : nullptr;
      isEscaped = true;
      if (behind - from < 2) return nullptr;
      const size_t size = from[1] == 'u' ? 6 : 2;
      if (static_cast<size_t>(behind - from) < size) return nullptr;
      if (size == 6 ? codeUnit(from + 2) < 0 : ESCAPES[from[1]] == 0) return nullptr;
      from += size;
    }
  }

  static bool isBlank(const uint8_t* from, const uint8_t* to) {
    for (; from < to; from++) {
      if (!BLANKS[*from]) return false;
    }
    return true;
  }

  JsonReader& reader_;
  const FieldPaths& paths_;
  const uint8_t* const data_;
  const uint32_t* token_;
  const uint32_t* const end_;
  const bool mayEscape_;
  size_t depth_ = 0;
  std::array<Frame, DEPTH_MAX> frames_;
};

#undef INLINE

JsonReader::JsonReader() : structure_(std::make_unique<Structure>()) {}
JsonReader::~JsonReader() = default;

bool JsonReader::read(const FieldPaths& paths, const uint8_t* data, size_t size) {
  data_ = data;
  size_ = size;
  values_.clear();
  // What one large document took is not kept for the small ones behind it.
  if (values_.capacity() > KEPT_VALUES) std::vector<JsonValue>().swap(values_);
  if (decoded_.capacity() > KEPT_BYTES) std::string().swap(decoded_);
  heads_.assign(paths.slots(), NONE);
  if (marks_.size() < paths.edges()) marks_.resize(paths.edges());
  if (size < 2 || size >= UINT32_MAX / 2) return false;
  if (size <= KEPT_BYTES) return walk(paths);
  const std::lock_guard lock(largeDocuments());
  const bool isObject = walk(paths);
  structure_ = std::make_unique<Structure>();
  return isObject;
}

bool JsonReader::walk(const FieldPaths& paths) {
  return structure_->find(data_, size_) && Walk(*this, paths).go();
}

std::string_view JsonReader::text(const JsonValue& value) {
  const uint8_t* begin = data_ + value.begin;
  if (value.isEscaped) {
    decode(begin, begin + value.size, decoded_);
    return decoded_;
  }
  return {reinterpret_cast<const char*>(begin), value.size};
}

bool parseJsonNumber(std::string_view text, JsonNumber& number) {
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* const end = at + text.size();
  if (text.empty() || numberEnd(at, end) != end) return false;
  const bool isNegative = *at == '-';
  const size_t digits = text.size() - (isNegative ? 1 : 0);
  number.isWhole = digits <= 18 && text.find_first_of(".eE") == std::string_view::npos;
  if (number.isWhole) {
    number.whole = 0;
    for (at += isNegative ? 1 : 0; at < end; at++) number.whole = number.whole * 10 + (*at - '0');
    if (isNegative) number.whole = -number.whole;
    number.real = static_cast<double>(number.whole);
    return true;
  }
  number.real = simdjson::internal::from_chars(text.data(), text.data() + text.size());
  return true;
}

int compareNumbers(const JsonNumber& a, const JsonNumber& b) {
  if (a.isWhole && b.isWhole) return a.whole < b.whole ? -1 : a.whole > b.whole ? 1 : 0;
  return a.real < b.real ? -1 : a.real > b.real ? 1 : 0;
}

}  // namespace logpipe
