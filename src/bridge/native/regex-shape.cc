// The shape of a regular expression: see regex-shape.h.
#include "regex-shape.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <utility>
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

// A part of an expression. `whole` is it without assertions; it may stand beside others unless the
// part is endless. `best` is what every match of it holds. Widths: bytes that a match has at least.
struct Shape {
  size_t positions = 0;
  bool isEndless = false;
  std::string whole;
  size_t width = 0;
  std::string best;
  size_t bestWidth = 0;
};

struct Item {
  Shape shape;
  bool isAssertion = false;
  size_t least = 1;
  size_t most = 1;
  std::string quantifier;
};

// Items that stand beside each other, without an endless one.
class Segment {
 public:
  void add(const std::string& text, size_t width) { parts_.push_back({text, width}); }

  // Keeps it where it is wider than the best one so far, and begins another.
  void finish(Shape& all) {
    // What may be missing at an end says nothing.
    while (!parts_.empty() && parts_.back().width == 0) parts_.pop_back();
    std::string text;
    size_t width = 0;
    for (const Part& part : parts_) {
      if (width == 0 && part.width == 0) continue;
      text += part.text;
      width = plus(width, part.width);
    }
    parts_.clear();
    if (width > all.bestWidth) {
      all.best = text;
      all.bestWidth = width;
    }
  }

 private:
  struct Part {
    std::string text;
    size_t width;
  };
  std::vector<Part> parts_;
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
  const std::string& flags() const { return flags_; }

 private:
  bool isEnd() const { return at_ >= source_.size(); }
  bool isNext(const char* text) const { return source_.compare(at_, std::strlen(text), text) == 0; }

  Shape alternation(int depth) {
    Shape all = sequence(depth);
    while (!isEnd() && source_[at_] == '|') {
      at_++;
      const Shape branch = sequence(depth);
      all.positions = plus(all.positions, branch.positions);
      all.isEndless = all.isEndless || branch.isEndless;
      all.whole += "|" + branch.whole;
      all.width = std::min(all.width, branch.width);
      all.best += "|" + branch.best;
      all.bestWidth = std::min(all.bestWidth, branch.bestWidth);
    }
    return all;
  }

  Shape sequence(int depth) {
    Shape all;
    Segment segment;
    while (!isEnd() && source_[at_] != '|' && source_[at_] != ')') {
      Item item = atom(depth);
      quantify(item);
      all.positions = plus(all.positions, times(item.shape.positions, mostCounted(item)));
      if (!item.isAssertion) append(item, segment, all);
    }
    segment.finish(all);
    return all;
  }

  static void append(const Item& item, Segment& segment, Shape& all) {
    const Shape& shape = item.shape;
    all.width = plus(all.width, times(shape.width, item.least));
    all.whole += shape.whole + item.quantifier;
    if (!shape.isEndless && item.most != ENDLESS) {
      segment.add(shape.whole + item.quantifier, times(shape.width, item.least));
      return;
    }
    all.isEndless = true;
    const bool isRepeated = !shape.isEndless && item.least > 0;
    // x+y is x, and xy.
    if (isRepeated) segment.add(repeated(shape.whole, item.least), times(shape.width, item.least));
    segment.finish(all);
    if (isRepeated) segment.add(shape.whole, shape.width);
    if (shape.isEndless && item.least > 0 && shape.bestWidth > all.bestWidth) {
      all.best = shape.best;
      all.bestWidth = shape.bestWidth;
    }
  }

  static std::string repeated(const std::string& text, size_t least) {
    return least == 1 ? text : text + "{" + std::to_string(least) + "}";
  }

  static size_t mostCounted(const Item& item) {
    return item.most == ENDLESS ? std::max<size_t>(item.least, 1) : std::max<size_t>(item.most, 1);
  }

  static Item byteOf(std::string text) {
    Item item;
    item.shape.positions = item.shape.width = 1;
    item.shape.whole = std::move(text);
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
    std::string text = source_.substr(begin, at_ - begin);
    // Left out, what stands between could join: \x4\b1, a{\b2}.
    if (first == '{') text = "\\{";
    if (text.size() > 1 && first == '\\' && (isDigit(text[1]) || text[1] == 'x')) {
      text = "(?:" + text + ")";
    }
    return byteOf(std::move(text));
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
    item.shape.whole = open + item.shape.whole + ")";
    item.shape.best = open + item.shape.best + ")";
    return item;
  }

  // (?i): for what follows. Elsewhere than at the front it reaches into later branches.
  Item flags(size_t begin) {
    if (begin != 1) isUnderstood_ = false;
    at_++;
    flags_ = "(" + source_.substr(begin, at_ - begin);
    return assertion();
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
  std::string flags_;
  bool isUnderstood_ = true;
};

// Bytes that stand for themselves, and signs behind a backslash; empty: there is something else.
std::string literalOf(const std::string& source) {
  std::string bytes;
  for (size_t at = 0; at < source.size(); at++) {
    const char* const signs = "\\^$.|?*+()[]{}";
    if (source[at] == '\\' && at + 1 < source.size()) {
      if (std::isalnum(static_cast<unsigned char>(source[++at])) != 0) return "";
    } else if (std::strchr(signs, source[at]) != nullptr) {
      return "";
    }
    bytes += source[at];
  }
  return bytes;
}

}  // namespace

size_t regexPositions(const std::string& source) { return Reader(source).read().positions; }

std::optional<WeakerRegex> weakerRegex(const std::string& source) {
  Reader reader(source);
  const Shape shape = reader.read();
  if (!reader.isUnderstood() || shape.bestWidth == 0) return std::nullopt;
  if (reader.flags().empty()) {
    std::string bytes = literalOf(shape.best);
    if (!bytes.empty()) return WeakerRegex{std::move(bytes), true};
  }
  return WeakerRegex{reader.flags() + shape.best, false};
}

}  // namespace logpipe
