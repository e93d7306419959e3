// What the source of a regular expression shows without compiling it: how large it is, and a weaker
// one to search whole batches for. Plain C++20.
//
// Sources are read as Vectorscan reads them (PCRE's syntax). Where that is not understood here
// (comments, \Q, inline flags that change the syntax) there is no weaker one, and records are
// searched one by one.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace logpipe {

// Positions when repeats are written out: (ab{10}){3} has 33. SIZE_MAX: beyond counting.
size_t regexPositions(const std::string& source);

// What every match of the source holds, whatever stands beside it: the part between two endless
// repeats (x*, x+, x{2,}) that has the most bytes, without ^, $, \b and their kind, which look at
// what is beside the match. So it reaches over few bytes, and finds few places of its own.
struct WeakerRegex {
  std::string source;  // Or the bytes themselves:
  bool isLiteral = false;
};
// Nullopt: there is none that has a byte.
std::optional<WeakerRegex> weakerRegex(const std::string& source);

}  // namespace logpipe
