// Questions to brokers that do not block: what a group has committed, where partitions begin and
// end, what topics there are, who is in a group; and a commit, whose answer is the group's. Each is
// answered once, on a queue of the consumer, within its time or by an error: librdkafka sees to it.
#include <cstdio>
#include <string_view>
#include <utility>

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

// librdkafka's mock cluster names a controller that it does not have; the request would wait for
// it. Its id is known once any broker has answered.
bool isMock(rd_kafka_t* handle, int timeoutMs) {
  char* id = rd_kafka_clusterid(handle, timeoutMs);
  if (id == nullptr) return false;
  const bool is = std::string_view(id).starts_with("mockCluster");
  rd_kafka_mem_free(handle, id);
  return is;
}

std::string propertyOf(rd_kafka_t* handle, const char* name) {
  char text[512] = "";
  size_t size = sizeof text;
  if (rd_kafka_conf_get(rd_kafka_conf(handle), name, text, &size) != RD_KAFKA_CONF_OK) return "";
  return text;
}

void check(rd_kafka_error_t* error) {
  if (error != nullptr) throw Refused(error, "cannot ask");
}

// The question's number travels as librdkafka's opaque pointer and comes back with the answer.
class Options {
 public:
  Options(rd_kafka_t* handle, rd_kafka_admin_op_t kind, int timeoutMs, int64_t question)
      : options_(rd_kafka_AdminOptions_new(handle, kind)) {
    char text[512] = "";
    const auto refused =
        rd_kafka_AdminOptions_set_request_timeout(options_, timeoutMs, text, sizeof text);
    if (refused) {
      rd_kafka_AdminOptions_destroy(options_);
      throw Refused(rd_kafka_err2name(refused), text);
    }
    rd_kafka_AdminOptions_set_opaque(options_, reinterpret_cast<void*>(question));
  }
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;
  ~Options() { rd_kafka_AdminOptions_destroy(options_); }
  rd_kafka_AdminOptions_t* get() const { return options_; }

 private:
  rd_kafka_AdminOptions_t* options_;
};

void readCommitted(rd_kafka_event_t* event, Answer& answer) {
  size_t count = 0;
  const rd_kafka_group_result_t** groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
      rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
  if (count == 0) return;
  const rd_kafka_error_t* error = rd_kafka_group_result_error(groups[0]);
  if (error != nullptr) answer.error = rd_kafka_error_name(error);
  answer.partitions = PartitionList::rows(rd_kafka_group_result_partitions(groups[0]));
}

void readOffsets(rd_kafka_event_t* event, Answer& answer) {
  size_t count = 0;
  const rd_kafka_ListOffsetsResultInfo_t** found =
      rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
  for (size_t index = 0; index < count; index++) {
    PartitionResult row =
        PartitionList::row(*rd_kafka_ListOffsetsResultInfo_topic_partition(found[index]));
    // The request to its leader failed: the others' answers came, and this row is as it was made.
    const bool isUnanswered = row.offset == RD_KAFKA_OFFSET_INVALID && row.error.empty();
    if (isUnanswered) row.error = rd_kafka_err2name(RD_KAFKA_RESP_ERR__TIMED_OUT);
    answer.partitions.push_back(std::move(row));
  }
}

void readTopics(rd_kafka_event_t* event, Answer& answer) {
  size_t count = 0;
  const rd_kafka_TopicDescription_t** found = rd_kafka_DescribeTopics_result_topics(
      rd_kafka_event_DescribeTopics_result(event), &count);
  for (size_t index = 0; index < count; index++) {
    const rd_kafka_error_t* fault = rd_kafka_TopicDescription_error(found[index]);
    const auto code = fault == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(fault);
    Answer::Topic topic{rd_kafka_TopicDescription_name(found[index]), "", 0, ""};
    if (code) {
      topic.error = rd_kafka_err2name(code);
    } else {
      topic.id = hexOf(rd_kafka_TopicDescription_topic_id(found[index]));
      size_t partitions = 0;
      rd_kafka_TopicDescription_partitions(found[index], &partitions);
      topic.partitions = static_cast<int32_t>(partitions);
    }
    answer.topics.push_back(std::move(topic));
  }
}

std::string textOf(const char* text) { return text == nullptr ? "" : text; }

void readMembers(rd_kafka_event_t* event, Answer& answer) {
  size_t count = 0;
  const rd_kafka_ConsumerGroupDescription_t** found =
      rd_kafka_DescribeConsumerGroups_result_groups(
          rd_kafka_event_DescribeConsumerGroups_result(event), &count);
  for (size_t index = 0; index < count; index++) {
    const rd_kafka_error_t* fault = rd_kafka_ConsumerGroupDescription_error(found[index]);
    const auto code = fault == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(fault);
    // From Kafka 4 on a group that is not there is an error.
    if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) continue;
    if (code) answer.error = rd_kafka_err2name(code);
    const size_t size = rd_kafka_ConsumerGroupDescription_member_count(found[index]);
    for (size_t place = 0; place < size; place++) {
      const auto* member = rd_kafka_ConsumerGroupDescription_member(found[index], place);
      answer.members.push_back({textOf(rd_kafka_MemberDescription_client_id(member)),
                                textOf(rd_kafka_MemberDescription_host(member)),
                                textOf(rd_kafka_MemberDescription_group_instance_id(member))});
    }
  }
}

}  // namespace

Questions::Questions(rd_kafka_t* handle) : handle_(handle), queue_(rd_kafka_queue_new(handle)) {}

Questions::~Questions() { rd_kafka_queue_destroy(queue_); }

int64_t Questions::committed(const std::vector<PartitionOffset>* partitions, int timeoutMs) {
  const Options options(handle_, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeoutMs, next_);
  check(rd_kafka_AdminOptions_set_require_stable_offsets(options.get(), 1));
  std::optional<PartitionList> list;
  if (partitions != nullptr) list.emplace(*partitions);
  rd_kafka_ListConsumerGroupOffsets_t* asked = rd_kafka_ListConsumerGroupOffsets_new(
      propertyOf(handle_, "group.id").c_str(), list.has_value() ? list->get() : nullptr);
  rd_kafka_ListConsumerGroupOffsets(handle_, &asked, 1, options.get(), queue_);
  rd_kafka_ListConsumerGroupOffsets_destroy(asked);
  return next_++;
}

int64_t Questions::offsets(const std::vector<PartitionOffset>& partitions, int timeoutMs) {
  const Options options(handle_, RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeoutMs, next_);
  // The end is where a read ends.
  const bool isCommitted = propertyOf(handle_, "isolation.level") == "read_committed";
  check(rd_kafka_AdminOptions_set_isolation_level(
      options.get(), isCommitted ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                 : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
  const PartitionList list(partitions);
  rd_kafka_ListOffsets(handle_, list.get(), options.get(), queue_);
  return next_++;
}

int64_t Questions::topics(const std::vector<std::string>& topics, int timeoutMs) {
  if (isMock(handle_, 0)) {
    Answer none;
    none.question = next_;
    for (const std::string& topic : topics) none.topics.push_back({topic, "", 0, ""});
    ready_.push_back(std::move(none));
    return next_++;
  }
  const Options options(handle_, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeoutMs, next_);
  std::vector<const char*> names;
  for (const std::string& topic : topics) names.push_back(topic.c_str());
  rd_kafka_TopicCollection_t* asked =
      rd_kafka_TopicCollection_of_topic_names(names.data(), names.size());
  rd_kafka_DescribeTopics(handle_, asked, options.get(), queue_);
  rd_kafka_TopicCollection_destroy(asked);
  return next_++;
}

// librdkafka keeps it for the time that a coordinator may take to come back.
int64_t Questions::commit(const std::vector<PartitionOffset>& offsets) {
  const PartitionList list(offsets);
  const auto error = rd_kafka_commit_queue(handle_, list.get(), queue_, nullptr,
                                           reinterpret_cast<void*>(next_));
  if (error) throw Refused(rd_kafka_err2name(error), "cannot commit");
  return next_++;
}

int64_t Questions::members(const std::string& group, int timeoutMs) {
  const Options options(handle_, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeoutMs, next_);
  const char* names[] = {group.c_str()};
  rd_kafka_DescribeConsumerGroups(handle_, names, 1, options.get(), queue_);
  return next_++;
}

std::vector<Answer> Questions::answers(int timeoutMs) {
  std::vector<Answer> answers = std::exchange(ready_, {});
  if (!answers.empty()) timeoutMs = 0;
  while (rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, timeoutMs)) {
    timeoutMs = 0;
    Answer answer;
    answer.question = reinterpret_cast<int64_t>(rd_kafka_event_opaque(event));
    const auto error = rd_kafka_event_error(event);
    const auto type = rd_kafka_event_type(event);
    if (error) answer.error = rd_kafka_err2name(error);
    if (type == RD_KAFKA_EVENT_OFFSET_COMMIT) {
      // The error of all where all failed alike, else of one of them: each has its own.
      answer.partitions = PartitionList::rows(rd_kafka_event_topic_partition_list(event));
      if (!answer.partitions.empty()) answer.error.clear();
    } else if (!error) {
      switch (type) {
        case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT: readCommitted(event, answer); break;
        case RD_KAFKA_EVENT_LISTOFFSETS_RESULT: readOffsets(event, answer); break;
        case RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT: readTopics(event, answer); break;
        case RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT: readMembers(event, answer); break;
        default: break;
      }
    }
    rd_kafka_event_destroy(event);
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace logpipe
