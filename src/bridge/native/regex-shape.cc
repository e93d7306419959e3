// The shape of a regular expression: see regex-shape.h.
#include "regex-shape.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace logpipe {
namespace {

constexpr size_t ENDLESS = SIZE_MAX;
// Deeper groups are counted as too large.
constexpr int DEPTH_MAX = 100;

size_t times(size_t a, size_t b) { return b != 0 && a > ENDLESS / b ? ENDLESS : a * b; }
size_t plus(size_t a, size_t b) { return a > ENDLESS - b ? ENDLESS : a + b; }

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isHex(char c) { return isDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

// A part of an expression. `inner` is it without assertions; `tail` besides without what may be
// missing at its end. Widths: the bytes that a match of it has at least.
struct Shape {
  size_t positions = 0;
  std::string inner;
  std::string tail;
  size_t width = 0;
  size_t tailWidth = 0;
};

struct Item {
  Shape shape;
  bool isAssertion = false;
  size_t least = 1;
  size_t most = 1;
  std::string quantifier;
};

class Reader {
 public:
  explicit Reader(const std::string& source) : source_(source) {}

  Shape read() {
    Shape shape = alternation(0);
    if (at_ < source_.size()) isUnderstood_ = false;  // A parenthesis too many.
    return shape;
  }
  bool isUnderstood() const { return isUnderstood_; }

 private:
  bool isEnd() const { return at_ >= source_.size(); }
  bool isNext(const char* text) const { return source_.compare(at_, std::strlen(text), text) == 0; }

  Shape alternation(int depth) {
    Shape all = sequence(depth);
    while (!isEnd() && source_[at_] == '|') {
      at_++;
      const Shape branch = sequence(depth);
      all.positions = plus(all.positions, branch.positions);
      all.inner += "|" + branch.inner;
      all.tail += "|" + branch.tail;
      all.width = std::min(all.width, branch.width);
      all.tailWidth = std::min(all.tailWidth, branch.tailWidth);
    }
    return all;
  }

  Shape sequence(int depth) {
    std::vector<Item> items;
    Shape all;
    while (!isEnd() && source_[at_] != '|' && source_[at_] != ')') {
      Item item = atom(depth);
      quantify(item);
      all.positions = plus(all.positions, times(item.shape.positions, mostCounted(item)));
      if (!item.isAssertion) items.push_back(std::move(item));
    }
    for (const Item& item : items) {
      all.inner += item.shape.inner + item.quantifier;
      all.width = plus(all.width, times(item.shape.width, item.least));
    }
    stripEnd(items, all);
    return all;
  }

  static size_t mostCounted(const Item& item) {
    return item.most == ENDLESS ? std::max<size_t>(item.least, 1) : std::max<size_t>(item.most, 1);
  }

  static void stripEnd(std::vector<Item>& items, Shape& all) {
    while (!items.empty() && (items.back().least == 0 || items.back().shape.tailWidth == 0)) {
      items.pop_back();
    }
    for (size_t index = 0; index < items.size(); index++) {
      const Item& item = items[index];
      const bool isLast = index + 1 == items.size();
      if (isLast && item.least == 1) {
        all.tail += item.shape.tail;
        all.tailWidth = plus(all.tailWidth, item.shape.tailWidth);
        continue;
      }
      all.tail += item.shape.inner;
      all.tail += isLast ? "{" + std::to_string(item.least) + "}" : item.quantifier;
      all.tailWidth = plus(all.tailWidth, times(item.shape.width, item.least));
    }
  }

  static Item byteOf(std::string text) {
    Item item;
    item.shape = Shape{1, text, text, 1, 1};
    return item;
  }

  static Item assertion() {
    Item item;
    item.isAssertion = true;
    item.shape.positions = 1;
    return item;
  }

  Item atom(int depth) {
    const size_t begin = at_;
    const char first = source_[at_++];
    switch (first) {
      case '^':
      case '$': return assertion();
      case '(': return group(depth);
      case '[': skipClass(); break;
      case '\\':
        if (skipEscape()) return assertion();
        break;
      default: break;
    }
    return byteOf(source_.substr(begin, at_ - begin));
  }

  // The opening parenthesis is behind us.
  Item group(int depth) {
    std::string open = "(";
    if (isNext("*")) isUnderstood_ = false;
    if (isNext("?")) {
      const size_t begin = at_++;
      if (isNext("<") || isNext("P<") || isNext("'")) {
        const char close = isNext("'") ? '\'' : '>';
        const size_t end = source_.find(close, at_ + 1);
        at_ = end == std::string::npos ? source_.size() : end + 1;
        open = "(?:";
      } else {
        while (!isEnd() && std::strchr("imsx-", source_[at_]) != nullptr) {
          if (source_[at_++] == 'x') isUnderstood_ = false;
        }
        if (isNext(")")) return flags(begin);
        if (!isNext(":")) isUnderstood_ = false;
        if (!isEnd()) at_++;
        open = "(" + source_.substr(begin, at_ - begin);
      }
    }
    Item item;
    if (depth == DEPTH_MAX) {
      item.shape.positions = ENDLESS;
      at_ = source_.size();
      isUnderstood_ = false;
      return item;
    }
    item.shape = alternation(depth + 1);
    if (!isNext(")")) isUnderstood_ = false;
    at_ = std::min(at_ + 1, source_.size());
    item.shape.inner = open + item.shape.inner + ")";
    item.shape.tail = open + item.shape.tail + ")";
    return item;
  }

  // (?i): as it is, for what follows. Elsewhere than at the front it reaches into later branches.
  Item flags(size_t begin) {
    if (begin != 1) isUnderstood_ = false;
    at_++;
    Item item;
    item.shape.inner = item.shape.tail = "(" + source_.substr(begin, at_ - begin);
    return item;
  }

  void skipClass() {
    if (isNext("^")) at_++;
    if (isNext("]")) at_++;
    while (!isEnd() && source_[at_] != ']') {
      const bool isNamed = isNext("[:") || isNext("[=") || isNext("[.");
      const char sign[] = {isNamed ? source_[at_ + 1] : ' ', ']', '\0'};
      const size_t close = isNamed ? source_.find(sign, at_ + 2) : std::string::npos;
      if (close != std::string::npos) {
        at_ = close + 2;
      } else if (source_[at_++] == '\\') {
        skipEscape();
      }
    }
    if (isEnd()) isUnderstood_ = false;
    at_ = std::min(at_ + 1, source_.size());
  }

  // The backslash is behind us. Whether it is an assertion.
  bool skipEscape() {
    if (isEnd()) {
      isUnderstood_ = false;
      return false;
    }
    const char sign = source_[at_++];
    if (std::strchr("QEKGRXCgk", sign) != nullptr) isUnderstood_ = false;
    if (sign == 'c' && !isEnd()) at_++;
    const bool isBraced = std::strchr("xpPoN", sign) != nullptr && isNext("{");
    if (isBraced) {
      const size_t close = source_.find('}', at_);
      at_ = close == std::string::npos ? source_.size() : close + 1;
    } else if (sign == 'x') {
      for (int i = 0; i < 2 && !isEnd() && isHex(source_[at_]); i++) at_++;
    } else if ((sign == 'p' || sign == 'P') && !isEnd()) {
      at_++;
    } else if (isDigit(sign)) {
      for (int i = 0; i < 2 && !isEnd() && isDigit(source_[at_]); i++) at_++;
    }
    return std::strchr("bBAzZ", sign) != nullptr;
  }

  void quantify(Item& item) {
    const size_t begin = at_;
    if (isNext("*") || isNext("+") || isNext("?")) {
      const char sign = source_[at_++];
      item.least = sign == '+' ? 1 : 0;
      item.most = sign == '?' ? 1 : ENDLESS;
    } else if (!isNext("{") || !braces(item)) {
      at_ = begin;
      return;
    }
    if (isNext("?") || isNext("+")) at_++;
    item.quantifier = source_.substr(begin, at_ - begin);
  }

  bool braces(Item& item) {
    at_++;
    const std::optional<size_t> least = number();
    if (!least.has_value()) return false;
    item.least = item.most = *least;
    if (isNext(",")) {
      at_++;
      item.most = number().value_or(ENDLESS);
    }
    if (!isNext("}")) {
      item.least = item.most = 1;
      return false;
    }
    at_++;
    return true;
  }

  std::optional<size_t> number() {
    if (isEnd() || !isDigit(source_[at_])) return std::nullopt;
    size_t value = 0;
    for (; !isEnd() && isDigit(source_[at_]); at_++) {
      value = std::min<size_t>(value * 10 + static_cast<size_t>(source_[at_] - '0'), 1000000000);
    }
    return value;
  }

  const std::string& source_;
  size_t at_ = 0;
  bool isUnderstood_ = true;
};

}  // namespace

size_t regexPositions(const std::string& source) { return Reader(source).read().positions; }

std::optional<std::string> weakerRegex(const std::string& source) {
  Reader reader(source);
  const Shape shape = reader.read();
  if (!reader.isUnderstood() || shape.tailWidth == 0) return std::nullopt;
  return shape.tail;
}

}  // namespace logpipe
