// Tests of scalars: see scalar-test.h.
#include "scalar-test.h"

#include <algorithm>
#include <cstring>

namespace logpipe {
namespace {

size_t findIn(std::string_view text, std::string_view part, size_t from) {
  if (part.size() > text.size() - from) return std::string_view::npos;
  if (part.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

const uint8_t* bytesOf(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

}  // namespace

void ScalarTest::setText(std::string_view wanted) {
  text = wanted;
  isNumber = parseJsonNumber(text, number);
}

bool ScalarTest::meets(ScalarKind kind, std::string_view scalar) const {
  switch (op) {
    case Op::Exists: return true;
    case Op::Equals: return equals(kind, scalar);
    case Op::Wildcard: return matchesParts(scalar);
    case Op::Contains: return findIn(scalar, text, 0) != std::string_view::npos;
    case Op::Regex: return regex->holds(bytesOf(scalar), scalar.size());
    default: return isOrdered(kind, scalar);
  }
}
bool ScalarTest::equals(ScalarKind kind, std::string_view scalar) const {
  if (kind != ScalarKind::Number) {
    if (scalar == text) return true;
    if (!texts.empty() && texts.contains(std::string(scalar))) return true;
  }
  if (kind == ScalarKind::Boolean || (!isNumber && numbers.empty())) return false;
  JsonNumber other;
  if (!parseJsonNumber(scalar, other)) return false;
  if (isNumber && compareNumbers(other, number) == 0) return true;
  return std::any_of(numbers.begin(), numbers.end(),
                     [&](const JsonNumber& one) { return compareNumbers(other, one) == 0; });
}

bool ScalarTest::isOrdered(ScalarKind kind, std::string_view scalar) const {
  JsonNumber other;
  int order = 0;
  if (kind != ScalarKind::Boolean && isNumber && parseJsonNumber(scalar, other)) {
    order = compareNumbers(other, number);
  } else if (kind == ScalarKind::String) {
    order = scalar.compare(text);
  } else {
    return false;
  }
  switch (op) {
    case Op::Below: return order < 0;
    case Op::BelowOrAt: return order <= 0;
    case Op::Above: return order > 0;
    default: return order >= 0;
  }
}

bool ScalarTest::matchesParts(std::string_view scalar) const {
  const std::string& first = parts.front();
  const std::string& last = parts.back();
  if (scalar.size() < first.size() + last.size()) return false;
  if (!scalar.starts_with(first) || !scalar.ends_with(last)) return false;
  const std::string_view middle = scalar.substr(0, scalar.size() - last.size());
  size_t at = first.size();
  for (size_t index = 1; index + 1 < parts.size(); index++) {
    at = findIn(middle, parts[index], at);
    if (at == std::string_view::npos) return false;
    at += parts[index].size();
  }
  return true;
}

}  // namespace logpipe
