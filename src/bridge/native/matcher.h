// The matcher: which records of a batch hold one of the patterns. Plain C++20; knows neither Node
// nor librdkafka.
//
// Used by slotScan on a slot's payload (copies) or on librdkafka's own buffers (views). A Matcher
// is made once for each set of patterns and never changes, so any number of threads may scan
// with one at the same time. Nothing is allocated in a scan.
//
// Speed: records that lie side by side are searched as one stretch of memory, and each place found
// is then given to its record. A place in a gap, or across two records, is no match.
//
// Bound: one pass over the bytes, for one pattern or for many. A place that might hold the pattern
// is compared in full, so n bytes made to look like a pattern of m bytes cost n * m at worst
// ("aaaa...ab" in "aaaa..." does not: the rare byte is looked at first). The caller bounds m.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace logpipe {

// The value of a record. data == nullptr: a null value (tombstone), which holds no pattern.
struct Span {
  const uint8_t* data;
  size_t size;
};

struct MatcherPlan;

class Matcher {
 public:
  // Patterns are any bytes, 0x00 too. A record matches when it holds any of them; without patterns
  // every record matches. ignoreCase folds A-Z. invertMatch keeps what does not match: null and
  // empty values are kept then, and without patterns none is.
  // Throws std::invalid_argument on an empty pattern.
  Matcher(std::vector<std::string> patterns, bool ignoreCase, bool invertMatch);

  // Writes the indexes of the records to keep, ascending, and returns how many; `hits` has room for
  // `count`, which is at most INT32_MAX.
  //
  // gapMax says how far apart two records of a stretch may lie in memory, and that the caller
  // answers for the bytes between: readable, and written by no other thread meanwhile.
  //   0       always right: only records that touch are joined. The values in a slot's payload do
  //           touch. Values in librdkafka's buffers do not, and are searched one by one: 5 ns for
  //           100 bytes, where fetching the record costs above 100 ns.
  //   more    right when all records lie in one block of memory.
  // Fetched messages cannot be known to lie in one block. Those of one fetch response do
  // (rd_kafka_recv allocates it contiguously), and so do those of one decompressed batch; but two
  // such blocks may come to lie close together, and nothing in a message tells. Up to PAGE_GAP that
  // cannot fault, since each page of the gap then holds a byte of a record; and what a gap holds
  // decides nothing, since a place outside records is no match. But what lies between two blocks
  // is malloc's, which another thread may be writing: a race by the letter, as the sanitizers say.
  // It gains 2 ns for a record of 100 bytes and less for longer ones: pass 0.
  size_t scan(const Span* records, size_t count, int32_t* hits, size_t gapMax = 0) const;

  // The largest gap that cannot hold a whole page: pages have 4096 bytes or a multiple of that.
  static constexpr size_t PAGE_GAP = 4095;

  // The search in use: avx2, ssse3, neon or portable.
  std::string_view kernel() const;

  // For tests and benchmarks: the same matcher with another kernel; throws std::invalid_argument
  // where this machine lacks it.
  Matcher withKernel(std::string_view kernel) const;

 private:
  explicit Matcher(std::shared_ptr<const MatcherPlan> plan);
  std::shared_ptr<const MatcherPlan> plan_;
};

}  // namespace logpipe
