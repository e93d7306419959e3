// Who is in a group: an admin request, which any client may send, joined or not.
#include "consumer.h"
#include "failure.h"

namespace logpipe {
namespace {

// What the request needs, let go in the opposite order.
struct Request {
  rd_kafka_queue_t* queue;
  rd_kafka_AdminOptions_t* options;
  rd_kafka_event_t* event = nullptr;
  ~Request() {
    if (event != nullptr) rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
  }
};

std::string textOf(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

std::vector<Consumer::Member> Consumer::groupMembers(const std::string& group, int timeoutMs) {
  rd_kafka_t* handle = client_->handle();
  const char* doing = "cannot ask for the members of the group";
  Request request{rd_kafka_queue_new(handle),
                  rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS)};
  char text[512] = "";
  const auto refused = rd_kafka_AdminOptions_set_request_timeout(request.options, timeoutMs, text,
                                                                 sizeof text);
  if (refused) throw Refused(rd_kafka_err2name(refused), text);
  const char* names[] = {group.c_str()};
  rd_kafka_DescribeConsumerGroups(handle, names, 1, request.options, request.queue);
  request.event = rd_kafka_queue_poll(request.queue, timeoutMs);
  if (request.event == nullptr) throw Refused(RD_KAFKA_RESP_ERR__TIMED_OUT, doing);
  const auto error = rd_kafka_event_error(request.event);
  if (error) throw Refused(error, doing);
  size_t count = 0;
  const rd_kafka_ConsumerGroupDescription_t** found =
      rd_kafka_DescribeConsumerGroups_result_groups(
          rd_kafka_event_DescribeConsumerGroups_result(request.event), &count);
  std::vector<Member> members;
  for (size_t index = 0; index < count; index++) {
    const rd_kafka_error_t* fault = rd_kafka_ConsumerGroupDescription_error(found[index]);
    const auto code = fault == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(fault);
    // From Kafka 4 on a group that is not there is an error.
    if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) continue;
    if (code) throw Refused(code, doing);
    const size_t size = rd_kafka_ConsumerGroupDescription_member_count(found[index]);
    for (size_t place = 0; place < size; place++) {
      const auto* member = rd_kafka_ConsumerGroupDescription_member(found[index], place);
      members.push_back({textOf(rd_kafka_MemberDescription_client_id(member)),
                         textOf(rd_kafka_MemberDescription_host(member)),
                         textOf(rd_kafka_MemberDescription_group_instance_id(member))});
    }
  }
  return members;
}

}  // namespace logpipe
