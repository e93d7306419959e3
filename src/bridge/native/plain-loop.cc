// See plain-loop.h.
#include "plain-loop.h"

#include <atomic>
#include <cstring>
#include <ctime>
#include <exception>
#include <thread>
#include <vector>

#include "failure.h"
#include "partition-list.h"

namespace logpipe {
namespace {

constexpr int DRAIN_WAIT_MS = 10;
constexpr int METADATA_MS = 10'000;

// One moment: nanoseconds of the clock on the wall and of this process's CPU time.
struct Moment {
  int64_t wall = 0;
  int64_t cpu = 0;
};

int64_t nanoseconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

Moment now() { return {nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_PROCESS_CPUTIME_ID)}; }

// What the threads share.
struct Shared {
  std::atomic<uint64_t> records{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> matched{0};
  std::atomic<int32_t> partitionsLeft{0};
  std::atomic<size_t> joined{0};
  std::atomic<bool> isStarted{false};
  std::atomic<bool> isDone{false};
  int64_t giveUp = 0;
  Moment first;  // By the thread that sets isStarted.
  std::atomic<int64_t> lastWall{0};
  std::atomic<int64_t> lastCpu{0};
};

rd_kafka_t* openConsumer(const PlainLoop& loop) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char text[512] = "";
  const auto set = [&](const std::string& name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) ==
        RD_KAFKA_CONF_OK) {
      return;
    }
    rd_kafka_conf_destroy(conf);
    throw Refused("_INVALID_ARG", text);
  };
  for (const auto& [name, value] : loop.config) set(name, value);
  set("enable.partition.eof", "true");
  set("logpipe.whole.batches", loop.isRaw ? "true" : "false");
  rd_kafka_conf_set_log_cb(conf, nullptr);
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
  if (consumer == nullptr) {
    rd_kafka_conf_destroy(conf);
    throw Refused(rd_kafka_err2name(rd_kafka_last_error()), text);
  }
  rd_kafka_poll_set_consumer(consumer);
  return consumer;
}

int32_t partitionCount(rd_kafka_t* client, const std::string& name) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, name.c_str(), nullptr);
  if (topic == nullptr) throw Refused(rd_kafka_last_error(), "cannot open the topic " + name);
  const rd_kafka_metadata_t* metadata = nullptr;
  auto error = rd_kafka_metadata(client, 0, topic, &metadata, METADATA_MS);
  rd_kafka_topic_destroy(topic);
  if (error) throw Refused(error, "cannot ask for the partitions of " + name);
  error = metadata->topics[0].err;
  const int32_t count = metadata->topics[0].partition_cnt;
  rd_kafka_metadata_destroy(metadata);
  if (error) throw Refused(error, "cannot read the topic " + name);
  return count;
}

size_t take(rd_kafka_queue_t* queue, const PlainLoop& loop, rd_kafka_message_t** batch) {
  const auto pop = [&](size_t from, int waitMs, size_t count) {
    const ssize_t got = rd_kafka_consume_batch_queue(queue, waitMs, batch + from, count);
    return got < 0 ? size_t{0} : static_cast<size_t>(got);
  };
  if (loop.waitMs != PlainLoop::DRAIN) return pop(0, loop.waitMs, loop.batch);
  const size_t there = pop(0, 0, loop.batch);
  if (there > 0) return there;
  const size_t first = pop(0, DRAIN_WAIT_MS, 1);
  if (first == 0 || loop.batch == 1) return first;
  return first + pop(first, 0, loop.batch - 1);
}

// What one pull of messages held.
struct Pull {
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t matched = 0;
  int32_t ends = 0;
};

void look(const PlainLoop& loop, rd_kafka_message_t* message, Pull& pull) {
  if (message->err) {
    pull.ends += message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    return;
  }
  pull.bytes += message->len;
  rd_kafka_batch_t whole;
  if (loop.isRaw && rd_kafka_message_batch(message, &whole) != 0) {
    pull.records += static_cast<uint64_t>(whole.record_count);
    return;
  }
  pull.records++;
  pull.matched += !loop.isRaw && message->len > 0 &&
                  memmem(message->payload, message->len, loop.pattern.data(),
                         loop.pattern.size()) != nullptr;
}

void add(const PlainLoop& loop, const Pull& pull, Shared& shared) {
  if (shared.isDone) return;  // What came after the last one is not in the time either.
  shared.bytes += pull.bytes;
  shared.matched += pull.matched;
  if (pull.records > 0) {
    const Moment moment = now();
    shared.lastWall = moment.wall;
    shared.lastCpu = moment.cpu;
  }
  // isDone last: who reads it reads the sums of all pulls before.
  const bool isEnough = shared.records.fetch_add(pull.records) + pull.records >= loop.recordsMax;
  const bool isEnd = pull.ends > 0 && (shared.partitionsLeft -= pull.ends) <= 0;
  if (isEnough || isEnd) shared.isDone = true;
}

void read(const PlainLoop& loop, size_t index, Shared& shared) {
  rd_kafka_t* consumer = openConsumer(loop);
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer);
  const int32_t partitions = partitionCount(consumer, loop.topic);
  PartitionList mine;
  const auto step = static_cast<int32_t>(loop.consumers);
  for (auto p = static_cast<int32_t>(index); p < partitions; p += step) mine.add(loop.topic, p, 0);
  // All are counted before any begins, or the first to end would take its own for all.
  shared.partitionsLeft += mine.count();
  shared.joined++;
  while (shared.joined < loop.consumers && !shared.isDone) std::this_thread::yield();
  rd_kafka_assign(consumer, mine.get());
  std::vector<rd_kafka_message_t*> batch(loop.batch);
  while (!shared.isDone) {
    const size_t count = take(queue, loop, batch.data());
    if (nanoseconds(CLOCK_MONOTONIC) > shared.giveUp) shared.isDone = true;
    if (count == 0) continue;
    Pull pull;
    if (!shared.isStarted && !shared.isStarted.exchange(true)) shared.first = now();
    for (size_t i = 0; i < count; i++) {
      look(loop, batch[i], pull);
      rd_kafka_message_destroy(batch[i]);
    }
    add(loop, pull, shared);
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy_flags(consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

}  // namespace

PlainTotals runPlainLoop(const PlainLoop& loop) {
  Shared shared;
  shared.giveUp = nanoseconds(CLOCK_MONOTONIC) + static_cast<int64_t>(loop.secondsMax * 1e9);
  std::vector<std::exception_ptr> errors(loop.consumers);
  std::vector<std::thread> threads;
  for (size_t index = 0; index < loop.consumers; index++) {
    threads.emplace_back([&, index] {
      try {
        read(loop, index, shared);
      } catch (...) {
        errors[index] = std::current_exception();
        shared.isDone = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  PlainTotals totals;
  totals.records = shared.records;
  totals.bytes = shared.bytes;
  totals.matched = shared.matched;
  if (shared.records > 0) {
    totals.seconds = static_cast<double>(shared.lastWall - shared.first.wall) / 1e9;
    totals.cpuSeconds = static_cast<double>(shared.lastCpu - shared.first.cpu) / 1e9;
  }
  return totals;
}

}  // namespace logpipe
