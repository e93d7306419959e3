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

// Matches whatever the source matches, within any bytes around it, at the same place or an earlier
// end: without ^, $, \b and their kind, which look at what is beside the match, and without what
// may be missing at the end (x.* is x: otherwise each byte behind x would end a match).
// Nullopt: there is none that has a byte.
std::optional<std::string> weakerRegex(const std::string& source);

}  // namespace logpipe
