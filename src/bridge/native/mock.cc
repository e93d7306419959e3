// The mock cluster: see mock.h.
#include "mock.h"

#include <algorithm>

#include "failure.h"

namespace logpipe {

Mock::Mock(int brokerCount, const std::vector<std::pair<std::string, int>>& topics) {
  char text[512] = "";
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  // The client that hosts the cluster has no log worth a line on stderr: what goes wrong is
  // returned.
  rd_kafka_conf_set_log_cb(conf, nullptr);
  client_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
  if (client_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    throw Refused(rd_kafka_err2name(rd_kafka_last_error()), text);
  }
  cluster_ = rd_kafka_mock_cluster_new(client_, brokerCount);
  if (cluster_ == nullptr) {
    rd_kafka_destroy(client_);
    throw Refused("_FAIL", "cannot start the mock cluster");
  }
  // The default of 3 s only makes tests and the demo wait for their first record.
  rd_kafka_mock_group_initial_rebalance_delay_ms(cluster_, 0);
  for (const auto& [topic, partitions] : topics) {
    const auto error =
        rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, std::min(brokerCount, 3));
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(client_);
    throw Refused(error, "cannot make the topic " + topic);
  }
}

Mock::~Mock() {
  rd_kafka_mock_cluster_destroy(cluster_);
  rd_kafka_destroy(client_);
}

std::string Mock::bootstrapServers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }

void Mock::pushErrors(int16_t apiKey, const std::vector<rd_kafka_resp_err_t>& errors) {
  rd_kafka_mock_push_request_errors_array(cluster_, apiKey, errors.size(), errors.data());
}

void Mock::brokerDown(int32_t brokerId) {
  const auto error = rd_kafka_mock_broker_set_down(cluster_, brokerId);
  if (error) throw Refused(error, "cannot take the broker down");
}

void Mock::brokerUp(int32_t brokerId) {
  const auto error = rd_kafka_mock_broker_set_up(cluster_, brokerId);
  if (error) throw Refused(error, "cannot bring the broker up");
}

void Mock::brokerDelay(int32_t brokerId, int delayMs) {
  const auto error = rd_kafka_mock_broker_set_rtt(cluster_, brokerId, delayMs);
  if (error) throw Refused(error, "cannot delay the broker");
}

void Mock::elect(const std::string& topic, int32_t partition, int32_t brokerId) {
  const auto error =
      rd_kafka_mock_partition_set_leader(cluster_, topic.c_str(), partition, brokerId);
  if (error) throw Refused(error, "cannot make the broker a leader");
}

}  // namespace logpipe
