// Messages that are done with, on their way back to the thread that allocated them.
//
// A broker's thread of librdkafka allocates one block for each record, and malloc keeps a lock for
// the blocks of a thread: a consumer that frees them while the next ones are being allocated makes
// both threads sleep and wake each other for every few records. With a processor free for each of
// them that costs more than half of the rate of small records. So nothing is freed where it was
// used: a message waits here until its broker answers the next Fetch, and that broker's thread
// destroys it before it parses the answer.
//
//   given -> waiting -> destroyed by its broker's thread      the way of nearly all
//                    -> destroyed by clear()                  nothing comes any more, or the end
//   given -> destroyed where it was given                     messagesMax wait already
#pragma once

#include <rdkafka.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace logpipe {

class Returns {
 public:
  // What one or two answers hold at 100 bytes a record (4 MiB of each partition): some 60 MB of
  // librdkafka's blocks. A broker that answers no more leaves no more than this behind.
  static constexpr size_t MESSAGES_MAX = 131'072;

  explicit Returns(size_t messagesMax = MESSAGES_MAX) : messagesMax_(messagesMax) {}
  Returns(const Returns&) = delete;
  Returns& operator=(const Returns&) = delete;
  ~Returns() { clear(); }

  // Has the client's brokers take their messages back. `conf` of a client that ends before this.
  void attach(rd_kafka_conf_t* conf);

  // Takes the messages over, and empties the list. Any thread.
  void give(std::vector<rd_kafka_message_t*>& messages);

  // Destroys all that wait. Any thread; must have been called before the client is destroyed.
  void clear();

  size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  // Brokers whose numbers fall together share one: then some are freed by the other's thread.
  static constexpr size_t LANES = 16;

  struct Lane {
    std::mutex mutex;
    std::vector<rd_kafka_message_t*> messages;
  };

  Lane& laneOf(int32_t broker) { return lanes_[static_cast<uint32_t>(broker) % LANES]; }
  void destroyAllOf(Lane& lane);

  const size_t messagesMax_;
  std::array<Lane, LANES> lanes_;
  std::atomic<size_t> waiting_{0};
};

}  // namespace logpipe
