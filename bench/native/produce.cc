// Fills a topic with realistic log lines, as fast as librdkafka can: the load of the benchmarks.
//
//   produce BROKERS TOPIC RECORDS SIZE MATCH_EVERY CODEC PARTITIONS [SEED [NAME=VALUE...]]
//
// SIZE: bytes of each value. MATCH_EVERY: each so manieth line has the level ERROR; 0: none.
// CODEC: none, lz4, zstd, gzip, snappy. The topic must exist. Records go to partitions in turn by
// blocks of 1000, so that batches are large; record i is the same for a seed, whatever the codec.
// NAME=VALUE: librdkafka properties. Prints one line of JSON; exits 1 unless all were acknowledged.
#include <atomic>
#include <chrono>
#include <string>

#include "arguments.h"
#include "log-line.h"

namespace {

constexpr uint64_t BLOCK_RECORDS = 1000;

using logbench::fail;
using logbench::number;

std::atomic<uint64_t> failed{0};

void onDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  if (failed++ == 0) std::fprintf(stderr, "not delivered: %s\n", rd_kafka_err2str(message->err));
}

rd_kafka_t* makeProducer(const char* brokers, const char* codec,
                         const std::vector<logbench::Setting>& more) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  // Batches of 1 MB, the largest a broker takes by default, and room for 256 of them.
  const std::vector<logbench::Setting> settings = {
      {"bootstrap.servers", brokers},           {"compression.codec", codec},
      {"batch.size", "1000000"},                {"batch.num.messages", "1000000"},
      {"queue.buffering.max.kbytes", "262144"}, {"queue.buffering.max.messages", "1000000"},
      {"linger.ms", "20"},                      {"acks", "1"}};
  for (const auto& setting : settings) logbench::set(conf, setting);
  for (const auto& setting : more) logbench::set(conf, setting);
  rd_kafka_conf_set_dr_msg_cb(conf, onDelivery);
  char error[512];
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
  if (producer == nullptr) fail(error);
  return producer;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8) {
    fail("usage: produce BROKERS TOPIC RECORDS SIZE MATCH_EVERY CODEC PARTITIONS "
         "[SEED [NAME=VALUE...]]");
  }
  const uint64_t records = number(argv[3], "RECORDS");
  const uint64_t size = number(argv[4], "SIZE");
  const uint64_t partitions = number(argv[7], "PARTITIONS");
  const uint64_t seed = argc > 8 ? number(argv[8], "SEED") : 1;
  if (size == 0 || partitions == 0) fail("SIZE and PARTITIONS are 1 or more");
  rd_kafka_t* producer = makeProducer(argv[1], argv[6], logbench::settings(argc, argv, 9));
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer, argv[2], nullptr);
  if (topic == nullptr) fail(rd_kafka_err2str(rd_kafka_last_error()));

  logbench::LogLines lines(seed, size, number(argv[5], "MATCH_EVERY"));
  std::string line(size, ' ');
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < records; i++) {
    lines.write(i, line.data());
    const auto partition = static_cast<int32_t>(i / BLOCK_RECORDS % partitions);
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, line.data(), line.size(),
                            nullptr, 0, nullptr) != 0) {
      const rd_kafka_resp_err_t error = rd_kafka_last_error();
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail(rd_kafka_err2str(error));
      rd_kafka_poll(producer, 5);
    }
    if (i % 1024 == 0) rd_kafka_poll(producer, 0);
  }
  rd_kafka_flush(producer, 60'000);
  const auto left = static_cast<uint64_t>(rd_kafka_outq_len(producer)) + failed;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("{\"records\": %llu, \"bytes\": %llu, \"not_delivered\": %llu, \"seconds\": %.3f}\n",
              static_cast<unsigned long long>(records),
              static_cast<unsigned long long>(records * size),
              static_cast<unsigned long long>(left), seconds);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
  return left == 0 ? 0 : 1;
}
