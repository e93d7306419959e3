// One librdkafka consumer client: its making, its callbacks, its end.
//
// Shared by the Consumer that uses it, by the slots that still hold its memory, and by the thread
// that takes it down. Callbacks write here and touch nothing else; all but the log's run inside
// calls of the consumer's own thread (or, once closing, of the closing thread).
#pragma once

#include <rdkafka.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "events.h"

namespace logpipe {

using Properties = std::vector<std::pair<std::string, std::string>>;

class Client {
 public:
  // Throws Refused with librdkafka's text: _UNKNOWN_PROPERTY, _INVALID_ARG, ...
  static std::shared_ptr<Client> open(const Properties& config,
                                      const std::vector<std::string>& topics);
  // Leaves the group and destroys the client in a thread of its own, which first waits until no
  // slot holds its memory: rd_kafka_destroy() would wait for the same, unseen.
  // Returns whether that was done within the time; if not, it goes on.
  static bool close(std::shared_ptr<Client> client, int timeoutMs);

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  rd_kafka_t* handle() const { return handle_; }
  rd_kafka_queue_t* queue() const { return queue_; }
  bool isCooperative() const;
  bool isEager() const;
  // Throws Refused.
  void subscribe(const std::vector<std::string>& topics);

  // Puts the client's fatal error among the events, once. Cheap: for every fill and poll.
  void reportFatal();

  // A slot holds messages of this client from hold() to unhold(); any thread.
  void hold();
  void unhold();

  EventQueue events;
  LogQueue logs;

  // The rebalance that waits for TypeScript's answer: librdkafka offers the next one only after it.
  struct Rebalance {
    bool isAssign;
    std::vector<PartitionResult> partitions;
  };
  std::optional<Rebalance> rebalance;

 private:
  Client() = default;
  bool hasProtocol(const char* name) const;
  void configure(rd_kafka_conf_t* conf, const Properties& config);
  void takeDown();
  void leaveGroup();
  void onRebalance(rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions);
  void onError(int error, const char* reason);
  void onCommit(rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions);

  rd_kafka_t* handle_ = nullptr;
  rd_kafka_queue_t* queue_ = nullptr;
  bool isFatalReported_ = false;
  bool closing_ = false;  // Set before the closing thread starts; read by callbacks within it.

  std::mutex mutex_;
  std::condition_variable changed_;
  int holds_ = 0;      // Slots that hold messages of this client.
  bool down_ = false;  // rd_kafka_destroy has returned.
};

}  // namespace logpipe
