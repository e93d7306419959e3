// What the harness's scenarios share: a mock cluster filled with records that can be told from
// their partition and offset alone, a pool with threads that scan it, and the books of what was
// covered.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "consumer.h"
#include "mock.h"

#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                  \
    }                                                                                \
  } while (0)

namespace world {

using namespace logpipe;

constexpr size_t BUFFER_BYTES = 32 << 10;

struct Record {
  bool hasValue;
  bool hasKey;
  std::string value;
  std::string key;
  std::string headers;  // As a slot has them.
  bool isHit;
};

// The record that stands at this offset; also what the producer sends there.
Record recordAt(int32_t partition, int64_t offset);

// Fills each partition with records 0 to count - 1.
void produce(const Mock& mock, const std::string& topic, int32_t partitions, int64_t count,
             int64_t from = 0);

Properties config(const Mock& mock, const std::string& group,
                  const Properties& more = {});

// Which offsets were covered, by partition; aborts on an overlap or a hole within an assignment.
class Books {
 public:
  void assigned(int32_t assignmentId, int32_t partition, int64_t from);
  // Checked for order by the consumer's thread, in which runs are made in order.
  void tile(const layout::Run& run);
  int64_t next(int32_t partition);
  int32_t partitionOf(int32_t assignmentId);
  int64_t covered();

 private:
  std::mutex mutex_;
  std::map<int32_t, std::pair<int32_t, int64_t>> assignments_;  // Partition, next offset.
  std::map<int32_t, int64_t> next_;
  int64_t covered_ = 0;
};

// A pool whose slots go from a filling thread to scanning threads and back.
class Line {
 public:
  Line(Books& books, size_t slots, int scanners);
  ~Line();
  Pool& pool() { return *pool_; }
  // Waits for a free slot and leaves it FILLING; -1 when the line is closing.
  int take();
  // A full slot: its tiles are booked, then it goes to a scanner.
  void pass(int slot);
  void giveBack(int slot);
  layout::Slot slot(int index);
  std::atomic<int64_t> hits{0};

 private:
  void scanLoop(unsigned seed);
  void verify(int slot, size_t count, bool all);
  void setState(int slot, int32_t state);

  Books& books_;
  layout::Shape shape_;
  std::vector<uint64_t> memory_;
  std::unique_ptr<Pool> pool_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<int> free_;
  std::deque<int> ready_;
  bool isClosing_ = false;
  std::vector<std::thread> scanners_;
};

}  // namespace world
