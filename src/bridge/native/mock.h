// librdkafka's mock cluster: a Kafka in this process, on loopback, for the demo and the tests.
//
// It keeps 5 MiB or 100,000 records a partition (librdkafka's own bound). Thread-safe: librdkafka
// passes each call to the cluster's thread.
#pragma once

#include <rdkafka.h>
#include <rdkafka_mock.h>

#include <string>
#include <utility>
#include <vector>

namespace logpipe {

class Mock {
 public:
  // Topics with their partition counts. Throws Refused.
  Mock(int brokerCount, const std::vector<std::pair<std::string, int>>& topics);
  Mock(const Mock&) = delete;
  Mock& operator=(const Mock&) = delete;
  ~Mock();

  std::string bootstrapServers() const;
  // The next requests of this kind are answered with these errors, in order.
  void pushErrors(int16_t apiKey, const std::vector<rd_kafka_resp_err_t>& errors);
  void brokerDown(int32_t brokerId);
  void brokerUp(int32_t brokerId);
  void brokerDelay(int32_t brokerId, int delayMs);
  // Raises the partition's leader epoch.
  void elect(const std::string& topic, int32_t partition, int32_t brokerId);
  rd_kafka_mock_cluster_t* cluster() const { return cluster_; }

 private:
  rd_kafka_t* client_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace logpipe
