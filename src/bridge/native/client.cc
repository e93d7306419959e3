// librdkafka's client: see client.h.
#include "client.h"

#include <chrono>
#include <cstring>
#include <thread>

#include "failure.h"

namespace logpipe {
namespace {

std::vector<PartitionOffset> offsetsOf(const std::vector<PartitionResult>& rows) {
  return {rows.begin(), rows.end()};
}

}  // namespace

std::shared_ptr<Client> Client::open(const Properties& config,
                                     const std::vector<std::string>& topics) {
  std::shared_ptr<Client> client(new Client);
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  try {
    client->configure(conf, config);
  } catch (...) {
    rd_kafka_conf_destroy(conf);
    throw;
  }
  char text[512] = "";
  client->handle_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
  if (client->handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    throw Refused(rd_kafka_err2name(rd_kafka_last_error()), text);
  }
  // From here on the destructor takes the client down, should one of these be refused.
  const auto error = rd_kafka_poll_set_consumer(client->handle_);
  if (error) throw Refused(error, "the property group.id is needed");
  client->queue_ = rd_kafka_queue_get_consumer(client->handle_);
  if (!topics.empty()) client->subscribe(topics);
  return client;
}

Client::~Client() {
  if (handle_ != nullptr) takeDown();
}

void Client::configure(rd_kafka_conf_t* conf, const Properties& config) {
  char text[512] = "";
  // First, so that the configuration may turn it off: then records come as librdkafka parses them.
  rd_kafka_conf_set(conf, "logpipe.whole.batches", "true", text, sizeof text);
  for (const auto& [name, value] : config) {
    switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text)) {
      case RD_KAFKA_CONF_OK: break;
      case RD_KAFKA_CONF_UNKNOWN: throw Refused("_UNKNOWN_PROPERTY", text);
      case RD_KAFKA_CONF_INVALID: throw Refused("_INVALID_ARG", text);
    }
  }
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_rebalance_cb(conf, [](rd_kafka_t*, rd_kafka_resp_err_t error,
                                          rd_kafka_topic_partition_list_t* list, void* opaque) {
    static_cast<Client*>(opaque)->onRebalance(error, list);
  });
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int error, const char* reason, void* opaque) {
    static_cast<Client*>(opaque)->onError(error, reason);
  });
  rd_kafka_conf_set_offset_commit_cb(
      conf, [](rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* list,
               void* opaque) { static_cast<Client*>(opaque)->onCommit(error, list); });
  // Not log.queue: that queue has no bound. This callback runs in librdkafka's own threads; it
  // takes one lock, under which nothing else is called.
  rd_kafka_conf_set_log_cb(
      conf, [](const rd_kafka_t* handle, int level, const char* facility, const char* message) {
        auto* client = static_cast<Client*>(rd_kafka_opaque(handle));
        if (client != nullptr) client->logs.push(level, facility, message);
      });
}

void Client::subscribe(const std::vector<std::string>& topics) {
  if (topics.empty()) {
    const auto error = rd_kafka_unsubscribe(handle_);
    if (error) throw Refused(error, "cannot end the subscription");
    return;
  }
  PartitionList list;
  for (const std::string& topic : topics) {
    list.add(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_OFFSET_INVALID);
  }
  const auto error = rd_kafka_subscribe(handle_, list.get());
  if (error) throw Refused(error, "cannot subscribe");
}

// librdkafka has no answer (NULL) once the group is being left: its group handler refuses
// questions by then. rd_kafka_assign(NULL), which a protocol that is neither leads to, is right
// there whatever the protocol was: a group that is being left takes every assignment as
// "nothing".
bool Client::hasProtocol(const char* name) const {
  const char* protocol = rd_kafka_rebalance_protocol(handle_);
  return protocol != nullptr && std::strcmp(protocol, name) == 0;
}

bool Client::isCooperative() const { return hasProtocol("COOPERATIVE"); }

bool Client::isEager() const { return hasProtocol("EAGER"); }

void Client::hold() {
  std::lock_guard lock(mutex_);
  holds_++;
}

void Client::unhold() {
  std::lock_guard lock(mutex_);
  if (--holds_ == 0) changed_.notify_all();
}

// The assignment is not answered here but when TypeScript says where to start: the group member
// waits for it, and its fetchers are paused. No rd_kafka_yield(): within
// rd_kafka_consume_batch_queue() it makes the next record vanish (the record is dequeued, then the
// loop ends before it is returned).
// rd_kafka_queue_yield() only ends a wait on an empty queue.
void Client::onRebalance(rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions) {
  const bool isAssign = error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  const bool isRevoke = error == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS;
  if (closing_ || (!isAssign && !isRevoke)) {
    if (isRevoke && isCooperative()) {
      rd_kafka_error_t* refused = rd_kafka_incremental_unassign(handle_, partitions);
      if (refused != nullptr) rd_kafka_error_destroy(refused);
    } else {
      rd_kafka_assign(handle_, nullptr);
    }
    if (!closing_) onError(error, "the rebalance failed");
    return;
  }
  Event event;
  event.kind = isAssign ? Event::Kind::Assign : Event::Kind::Revoke;
  event.lost = isRevoke && rd_kafka_assignment_lost(handle_) != 0;
  event.partitions = PartitionList::rows(partitions);
  rebalance = Rebalance{isAssign, event.partitions};
  events.push(std::move(event));
  rd_kafka_queue_yield(queue_);
}

void Client::onError(int error, const char* reason) {
  if (closing_) return;
  const auto code = static_cast<rd_kafka_resp_err_t>(error);
  events.error(code, reason == nullptr ? rd_kafka_err2str(code) : reason);
  rd_kafka_queue_yield(queue_);
}

// A fatal error is a state of the client, and is asked for: how librdkafka announces it (a callback
// for producers, a message among the records for consumers) may change, and announcements get lost.
void Client::reportFatal() {
  if (isFatalReported_) return;
  char text[512] = "";
  const auto code = rd_kafka_fatal_error(handle_, text, sizeof text);
  if (!code) return;
  isFatalReported_ = true;
  Event event;
  event.kind = Event::Kind::Error;
  event.fatal = true;
  event.code = rd_kafka_err2name(code);
  event.message = text;
  events.push(std::move(event));
}

void Client::onCommit(rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions) {
  if (closing_) return;
  Event event;
  event.kind = Event::Kind::Commit;
  if (error) event.code = rd_kafka_err2name(error);
  event.partitions = PartitionList::rows(partitions);
  events.push(std::move(event));
}

bool Client::close(std::shared_ptr<Client> client, int timeoutMs) {
  client->closing_ = true;
  std::thread([client] { client->takeDown(); }).detach();
  std::unique_lock lock(client->mutex_);
  return client->changed_.wait_for(lock, std::chrono::milliseconds(timeoutMs),
                                   [&] { return client->down_; });
}

void Client::takeDown() {
  closing_ = true;
  leaveGroup();
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return holds_ == 0; });
  }
  if (queue_ != nullptr) rd_kafka_queue_destroy(queue_);
  rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  std::lock_guard lock(mutex_);
  handle_ = nullptr;
  queue_ = nullptr;
  down_ = true;
  changed_.notify_all();
}

void Client::leaveGroup() {
  if (queue_ == nullptr) return;
  // A rebalance nobody answered would keep the group member waiting for ever.
  if (rebalance.has_value()) {
    if (isCooperative()) {
      const PartitionList list(rebalance->isAssign ? std::vector<PartitionOffset>{}
                                                   : offsetsOf(rebalance->partitions));
      rd_kafka_error_t* refused = rebalance->isAssign
                                      ? rd_kafka_incremental_assign(handle_, list.get())
                                      : rd_kafka_incremental_unassign(handle_, list.get());
      if (refused != nullptr) rd_kafka_error_destroy(refused);
    } else {
      rd_kafka_assign(handle_, nullptr);
    }
    rebalance.reset();
  }
  rd_kafka_queue_t* closeQueue = rd_kafka_queue_new(handle_);
  rd_kafka_error_t* refused = rd_kafka_consumer_close_queue(handle_, closeQueue);
  if (refused != nullptr) {  // A fatal error, after which there is no group to leave.
    rd_kafka_error_destroy(refused);
  } else {
    rd_kafka_message_t* messages[64];
    while (!rd_kafka_consumer_closed(handle_)) {
      const ssize_t count = rd_kafka_consume_batch_queue(closeQueue, 100, messages, 64);
      for (ssize_t index = 0; index < count; index++) rd_kafka_message_destroy(messages[index]);
    }
  }
  rd_kafka_queue_destroy(closeQueue);
}

}  // namespace logpipe
