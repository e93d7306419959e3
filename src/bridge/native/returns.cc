// Taking messages back: see returns.h.
#include "returns.h"

#include "failure.h"

namespace logpipe {
namespace {

constexpr int16_t FETCH = 1;  // https://kafka.apache.org/protocol#protocol_api_keys
constexpr const char* NAME = "logpipe-returns";

void destroyAll(std::vector<rd_kafka_message_t*>& messages) {
  for (rd_kafka_message_t* message : messages) rd_kafka_message_destroy(message);
  messages.clear();
}

}  // namespace

// librdkafka calls on_response_received in the broker's thread, before the answer is parsed and
// with no lock held; and once more for every message that is destroyed, as _DESTROY.
void Returns::attach(rd_kafka_conf_t* conf) {
  const auto onNew = [](rd_kafka_t* handle, const rd_kafka_conf_t*, void* self, char*, size_t) {
    return rd_kafka_interceptor_add_on_response_received(
        handle, NAME,
        [](rd_kafka_t*, int, const char*, int32_t broker, int16_t apiKey, int16_t, int32_t, size_t,
           int64_t, rd_kafka_resp_err_t error, void* opaque) {
          auto* returns = static_cast<Returns*>(opaque);
          if (apiKey == FETCH && !error) returns->destroyAllOf(returns->laneOf(broker));
          return RD_KAFKA_RESP_ERR_NO_ERROR;
        },
        self);
  };
  const auto error = rd_kafka_conf_interceptor_add_on_new(conf, NAME, onNew, this);
  if (error) throw Refused(error, "cannot follow the answers of brokers");
}

void Returns::give(std::vector<rd_kafka_message_t*>& messages) {
  const size_t count = messages.size();
  if (waiting_.fetch_add(count, std::memory_order_relaxed) + count > messagesMax_) {
    waiting_.fetch_sub(count, std::memory_order_relaxed);
    destroyAll(messages);
    return;
  }
  for (size_t from = 0; from < count;) {
    const int32_t broker = rd_kafka_message_broker_id(messages[from]);
    size_t to = from + 1;
    while (to < count && rd_kafka_message_broker_id(messages[to]) == broker) to++;
    Lane& lane = laneOf(broker);
    const std::lock_guard lock(lane.mutex);
    lane.messages.insert(lane.messages.end(), messages.data() + from, messages.data() + to);
    from = to;
  }
  messages.clear();
}

void Returns::clear() {
  for (Lane& lane : lanes_) destroyAllOf(lane);
}

// Outside of the lock: who gives must not wait for who frees. The lists change places, so that
// neither grows anew each time.
void Returns::destroyAllOf(Lane& lane) {
  thread_local std::vector<rd_kafka_message_t*> taken;
  {
    const std::lock_guard lock(lane.mutex);
    taken.swap(lane.messages);
  }
  waiting_.fetch_sub(taken.size(), std::memory_order_relaxed);
  destroyAll(taken);
}

}  // namespace logpipe
