// Realistic log lines of one size, by a seed: what produce.cc sends and matcher-bench.cc scans.
//
// A line reads like a service's: time, level, host, service, id, then key=value pairs to the size.
// Every `matchEvery`th line has the level ERROR, the others INFO, WARN or DEBUG; the words include
// some that begin like a pattern (E, ER, err), so that a search meets near misses.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

namespace logbench {

class LogLines {
 public:
  // size: bytes of each line; matchEvery 0: no line matches.
  LogLines(uint64_t seed, size_t size, uint64_t matchEvery)
      : state_(seed * 2 + 1), size_(size), matchEvery_(matchEvery) {}

  // Writes line `index`, exactly `size` bytes and no newline. Call with ascending indexes: the
  // filling depends on the lines before.
  void write(uint64_t index, char* out) {
    char head[160];
    const bool matches = matchEvery_ != 0 && index % matchEvery_ == matchEvery_ / 2;
    const uint64_t ms = index;
    int used = std::snprintf(
        head, sizeof head,
        "2026-11-22T%02u:%02u:%02u.%03uZ %-5s host-%03u svc-%02u[%u] id=%012llx ",
        static_cast<unsigned>(ms / 3600000 % 24), static_cast<unsigned>(ms / 60000 % 60),
        static_cast<unsigned>(ms / 1000 % 60), static_cast<unsigned>(ms % 1000),
        matches ? "ERROR" : LEVELS[next() % 8], static_cast<unsigned>(next() % 200),
        static_cast<unsigned>(next() % 40), static_cast<unsigned>(1000 + next() % 9000),
        static_cast<unsigned long long>(next() & 0xffffffffffff));
    size_t at = 0;
    put(out, at, head, static_cast<size_t>(used));
    while (at < size_) {
      const char* word = WORDS[next() % (sizeof WORDS / sizeof *WORDS)];
      put(out, at, word, std::strlen(word));
      put(out, at, "=", 1);
      used = std::snprintf(head, sizeof head, "%u ", static_cast<unsigned>(next() % 100000));
      put(out, at, head, static_cast<size_t>(used));
    }
  }

 private:
  static constexpr const char* LEVELS[8] = {"INFO", "INFO", "INFO", "INFO",
                                            "INFO", "INFO", "WARN", "DEBUG"};
  static constexpr const char* WORDS[] = {
      "request", "served",  "user",    "session", "cache",  "upstream", "latency_ms", "retry",
      "queue",   "batch",   "commit",  "offset",  "shard",  "errno",    "ETag",       "ERspan",
      "status",  "bytes",   "path_id", "region",  "tenant", "trace",    "span",       "attempt"};

  // xorshift64*: the same lines on every machine.
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 2685821657736338717ULL) >> 16;
  }

  void put(char* out, size_t& at, const char* text, size_t length) const {
    if (at + length > size_) length = size_ - at;
    std::memcpy(out + at, text, length);
    at += length;
  }

  uint64_t state_;
  size_t size_;
  uint64_t matchEvery_;
};

}  // namespace logbench
