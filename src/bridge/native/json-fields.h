// Fields of JSON objects: which values lie at a set of paths, found in one pass over a document.
//
// simdjson finds the structure of the bytes (and that they are UTF-8); what lies there is walked
// once, checked in full, and only what lies at one of the paths is noted, as it stands in the
// bytes. So a document costs the same however many paths are asked for, and nothing is decoded that
// no test looks at. simdjson's first stage reads within the bytes it is given: no padding is
// needed.
//
// Bounds: documents nest DEPTH_MAX deep, as in src/core/json-scan.ts; VALUES_MAX
// values are noted. The memory of a reader is four bytes for each byte of the largest document up
// to KEPT_BYTES; a larger one is read while no other thread reads such a one, and its memory given
// back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace logpipe {

// The paths, as a tree: the key of an edge is one part of a path, or several joined by dots, since
// {"a.b":1} and {"a":{"b":1}} both have a.b. Never changes once paths were added.
class FieldPaths {
 public:
  struct Edge {
    std::string key;
    uint32_t index;  // Among all edges.
    uint32_t node;
  };
  struct Node {
    int32_t slot = -1;        // Of the path that ends here.
    std::vector<Edge> edges;  // By size, then by bytes.
  };

  FieldPaths() : nodes_(1) {}
  // The slot of the path, the same for the same path.
  uint32_t add(const std::vector<std::string>& parts);

  const Edge* find(uint32_t node, std::string_view key) const;
  uint32_t slots() const { return slots_; }
  uint32_t edges() const { return edges_; }
  const Node& node(uint32_t index) const { return nodes_[index]; }

 private:
  uint32_t child(uint32_t node, const std::string& key);
  void link(uint32_t from, const std::string& key, uint32_t to);

  std::vector<Node> nodes_;
  uint32_t slots_ = 0;
  uint32_t edges_ = 0;
};

struct JsonValue {
  enum class Kind : uint8_t { Replaced, Null, Object, String, Number, Boolean };
  Kind kind;
  bool isEscaped;  // A string with a backslash in it.
  uint32_t slot;
  uint32_t next;   // Of the same slot, or NONE.
  uint32_t begin;  // In the document; of a string without its quotes.
  uint32_t size;
};

// Reads one document at a time: a thread has one, and uses it for any paths.
class JsonReader {
 public:
  static constexpr size_t DEPTH_MAX = 512;
  static constexpr uint32_t VALUES_MAX = 1 << 20;
  static constexpr size_t KEPT_BYTES = size_t{1} << 20;
  static constexpr size_t KEPT_VALUES = 1 << 16;
  static constexpr uint32_t NONE = UINT32_MAX;

  JsonReader();
  ~JsonReader();
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  // False: the bytes are not one valid JSON object. They are looked at until the next read.
  bool read(const FieldPaths& paths, const uint8_t* data, size_t size);

  // The values of a slot: the first one, then by `next`. Those Replaced do not count.
  uint32_t first(uint32_t slot) const { return heads_[slot]; }
  const JsonValue& value(uint32_t index) const { return values_[index]; }
  // What a scalar says: a string decoded, a number or boolean as it stands. Until the next call.
  std::string_view text(const JsonValue& value);

 private:
  class Walk;
  struct Mark {
    uint64_t object = 0;
    uint32_t from = 0;
    uint32_t to = 0;
  };
  struct Structure;

  bool walk(const FieldPaths& paths);

  std::unique_ptr<Structure> structure_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  std::vector<JsonValue> values_;
  std::vector<uint32_t> heads_;
  std::vector<Mark> marks_;  // For each edge, the object in which it was last taken.
  uint64_t objects_ = 0;
  std::string decoded_;
};

// A JSON number, exact where it is whole and has at most 18 digits.
struct JsonNumber {
  bool isWhole = false;
  int64_t whole = 0;
  double real = 0;
};

// Whether the text is one JSON number, and which.
bool parseJsonNumber(std::string_view text, JsonNumber& number);
// Below, at or above 0.
int compareNumbers(const JsonNumber& a, const JsonNumber& b);

}  // namespace logpipe
