// Kafka's ids of topics: what tells a topic that was deleted and made anew from its past.
#include <cstdio>
#include <string_view>

#include "consumer.h"
#include "failure.h"

namespace logpipe {
namespace {

// 32 hex digits; empty for the id of zeros, which brokers without topic ids tell.
std::string hexOf(const rd_kafka_Uuid_t* id) {
  if (id == nullptr) return "";
  const auto high = static_cast<uint64_t>(rd_kafka_Uuid_most_significant_bits(id));
  const auto low = static_cast<uint64_t>(rd_kafka_Uuid_least_significant_bits(id));
  if (high == 0 && low == 0) return "";
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text;
}

// What a request needs, let go in the opposite order.
struct Request {
  rd_kafka_queue_t* queue;
  rd_kafka_AdminOptions_t* options;
  rd_kafka_TopicCollection_t* topics;
  rd_kafka_event_t* event = nullptr;
  ~Request() {
    if (event != nullptr) rd_kafka_event_destroy(event);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
  }
};

// librdkafka's mock cluster names a controller that it does not have; the request would wait for
// it.
bool isMock(rd_kafka_t* handle, int timeoutMs) {
  char* id = rd_kafka_clusterid(handle, timeoutMs);
  if (id == nullptr) return false;
  const bool is = std::string_view(id).starts_with("mockCluster");
  rd_kafka_mem_free(handle, id);
  return is;
}

}  // namespace

// An admin request, which any client may send; its answer comes to a queue of its own.
std::vector<Consumer::TopicId> Consumer::topicIds(const std::vector<std::string>& topics,
                                                  int timeoutMs) {
  if (topics.empty()) return {};
  rd_kafka_t* handle = client_->handle();
  if (isMock(handle, timeoutMs)) {
    std::vector<TopicId> none;
    for (const std::string& topic : topics) none.push_back({topic, "", ""});
    return none;
  }
  std::vector<const char*> names;
  for (const std::string& topic : topics) names.push_back(topic.c_str());
  Request request{rd_kafka_queue_new(handle),
                  rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS),
                  rd_kafka_TopicCollection_of_topic_names(names.data(), names.size())};
  char text[512] = "";
  const auto refused = rd_kafka_AdminOptions_set_request_timeout(request.options, timeoutMs, text,
                                                                 sizeof text);
  if (refused) throw Refused(rd_kafka_err2name(refused), text);
  rd_kafka_DescribeTopics(handle, request.topics, request.options, request.queue);
  request.event = rd_kafka_queue_poll(request.queue, timeoutMs);
  if (request.event == nullptr) {
    throw Refused(RD_KAFKA_RESP_ERR__TIMED_OUT, "cannot ask for the topics' ids");
  }
  const auto error = rd_kafka_event_error(request.event);
  if (error) throw Refused(error, "cannot ask for the topics' ids");
  size_t count = 0;
  const rd_kafka_TopicDescription_t** found = rd_kafka_DescribeTopics_result_topics(
      rd_kafka_event_DescribeTopics_result(request.event), &count);
  std::vector<TopicId> ids;
  for (size_t index = 0; index < count; index++) {
    const rd_kafka_error_t* fault = rd_kafka_TopicDescription_error(found[index]);
    const auto code = fault == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(fault);
    ids.push_back({rd_kafka_TopicDescription_name(found[index]),
                   code ? "" : hexOf(rd_kafka_TopicDescription_topic_id(found[index])),
                   code ? rd_kafka_err2name(code) : ""});
  }
  return ids;
}

}  // namespace logpipe
