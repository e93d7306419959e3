// The native baseline: what logpipe's speed is compared with. Nothing but librdkafka and memmem.
//
//   consume BROKERS TOPIC PATTERN RECORDS CONSUMERS BATCH WAIT PROFILE [mallopt] [group]
//           [NAME=VALUE...]
//
// RECORDS    stop after so many.
// CONSUMERS  threads, each with a consumer of its own.
// BATCH      records asked of librdkafka in one call.
// WAIT       ms that a call waits for a full batch, as most programs do; or `drain`: take what is
//            there, else wait for one record and take what came with it.
// PROFILE    librdkafka's settings: aggressive or balanced, as logpipe's profiles of that name.
// mallopt    keep freed receive buffers, as logpipe's bridge does.
// group      share the partitions through a new consumer group: what is read before all have
//            joined is read, and counted, again. Else consumer i reads the partitions p with
//            p % CONSUMERS == i.
//
// Prints one line of JSON. Time and CPU (of the whole process) count from the first record to the
// last, so neither connecting nor a rebalance is in them. Exits 1 when no record came for 20 s.
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <thread>

#include "arguments.h"

namespace {

using logbench::fail;
using logbench::number;
using logbench::Setting;

constexpr int SILENCE_SECONDS_MAX = 20;
constexpr int DRAIN_WAIT_MS = 10;
constexpr int DRAIN = -1;

struct Options {
  const char* brokers;
  const char* topic;
  std::string pattern;
  uint64_t records;
  size_t consumers;
  size_t batch;
  int waitMs;  // or DRAIN
  bool group = false;
  std::vector<Setting> settings;
};

// One moment: nanoseconds of the clock on the wall and of this process's CPU time.
struct Moment {
  int64_t wall;
  int64_t cpu;
};

int64_t nanoseconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

Moment now() { return {nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_PROCESS_CPUTIME_ID)}; }

struct Totals {
  std::atomic<uint64_t> records{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> matched{0};
  std::atomic<bool> isStarted{false};
  std::atomic<bool> isDone{false};
  std::atomic<bool> isSilent{false};
  Moment first{};  // by the thread that sets isStarted
  Moment last{};   // by the thread that sets isDone
};

std::vector<Setting> profile(const std::string& name) {
  if (name == "balanced") return {};
  if (name != "aggressive") fail("PROFILE is aggressive or balanced");
  return {{"queued.min.messages", "1000000"},      {"queued.max.messages.kbytes", "262144"},
          {"fetch.message.max.bytes", "4194304"},  {"fetch.max.bytes", "67108864"},
          {"fetch.wait.max.ms", "50"},             {"receive.message.max.bytes", "134217728"},
          {"fetch.queue.backoff.ms", "1"}};
}

int32_t partitionCount(rd_kafka_t* client, const char* name) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, name, nullptr);
  const rd_kafka_metadata_t* metadata;
  const auto error = rd_kafka_metadata(client, 0, topic, &metadata, 10'000);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) fail(rd_kafka_err2str(error));
  const int32_t count = metadata->topics[0].partition_cnt;
  if (count == 0) fail(std::string("no such topic: ") + name);
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(topic);
  return count;
}

rd_kafka_t* openConsumer(const Options& options, const std::string& group, size_t index) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const Setting& setting : std::vector<Setting>{{"bootstrap.servers", options.brokers},
                                                     {"group.id", group},
                                                     {"auto.offset.reset", "earliest"},
                                                     {"enable.auto.commit", "false"},
                                                     {"enable.auto.offset.store", "false"}}) {
    logbench::set(conf, setting);
  }
  for (const Setting& setting : options.settings) logbench::set(conf, setting);
  char error[512];
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
  if (consumer == nullptr) fail(error);
  rd_kafka_poll_set_consumer(consumer);
  const int32_t partitions = partitionCount(consumer, options.topic);
  auto* list = rd_kafka_topic_partition_list_new(partitions);
  if (options.group) {
    rd_kafka_topic_partition_list_add(list, options.topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer, list);
  } else {
    for (auto p = static_cast<int32_t>(index); p < partitions;
         p += static_cast<int32_t>(options.consumers)) {
      rd_kafka_topic_partition_list_add(list, options.topic, p)->offset = 0;
    }
    rd_kafka_assign(consumer, list);
  }
  rd_kafka_topic_partition_list_destroy(list);
  return consumer;
}

size_t take(rd_kafka_queue_t* queue, const Options& options, rd_kafka_message_t** batch) {
  const auto pop = [&](size_t from, int waitMs, size_t count) {
    const ssize_t got = rd_kafka_consume_batch_queue(queue, waitMs, batch + from, count);
    return got < 0 ? size_t{0} : static_cast<size_t>(got);
  };
  if (options.waitMs != DRAIN) return pop(0, options.waitMs, options.batch);
  const size_t there = pop(0, 0, options.batch);
  if (there > 0) return there;
  const size_t first = pop(0, DRAIN_WAIT_MS, 1);
  if (first == 0 || options.batch == 1) return first;
  return first + pop(first, 0, options.batch - 1);
}

void consume(const Options& options, const std::string& group, size_t index, Totals& totals) {
  rd_kafka_t* consumer = openConsumer(options, group, index);
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer);
  std::vector<rd_kafka_message_t*> batch(options.batch);
  uint64_t seen = 0;
  int64_t heard = nanoseconds(CLOCK_MONOTONIC);
  while (!totals.isDone) {
    const size_t count = take(queue, options, batch.data());
    const int64_t time = nanoseconds(CLOCK_MONOTONIC);
    // Silent only when all are: a consumer may be through with its own partitions.
    const uint64_t all = totals.records;
    if (count > 0 || all != seen) heard = time;
    seen = all;
    if (time - heard > SILENCE_SECONDS_MAX * 1'000'000'000LL) {
      totals.isSilent = true;
      break;
    }
    if (count == 0) continue;
    if (!totals.isStarted && !totals.isStarted.exchange(true)) totals.first = now();
    uint64_t records = 0;
    uint64_t bytes = 0;
    uint64_t matched = 0;
    for (size_t i = 0; i < count; i++) {
      rd_kafka_message_t* message = batch[i];
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        records++;
        bytes += message->len;
        matched += message->len > 0 && memmem(message->payload, message->len,
                                              options.pattern.data(), options.pattern.size());
      }
      rd_kafka_message_destroy(message);
    }
    if (totals.isDone) break;  // What came after the last one is not in the time either.
    totals.bytes += bytes;
    totals.matched += matched;
    // isDone last: who reads it reads the sums of all batches before.
    if (totals.records.fetch_add(records) + records >= options.records &&
        !totals.isDone.exchange(true)) {
      totals.last = now();
    }
  }
}

Options parse(int argc, char** argv) {
  if (argc < 9) {
    fail("usage: consume BROKERS TOPIC PATTERN RECORDS CONSUMERS BATCH WAIT|drain "
         "aggressive|balanced [mallopt] [group] [NAME=VALUE...]");
  }
  Options options{argv[1], argv[2], argv[3], number(argv[4], "RECORDS"),
                  number(argv[5], "CONSUMERS"), number(argv[6], "BATCH"), DRAIN, false,
                  profile(argv[8])};
  if (options.pattern.empty()) fail("PATTERN has no bytes");
  if (options.consumers == 0 || options.batch == 0) fail("CONSUMERS and BATCH are 1 or more");
  if (std::string(argv[7]) != "drain") options.waitMs = static_cast<int>(number(argv[7], "WAIT"));
  int at = 9;
  for (; at < argc && std::strchr(argv[at], '=') == nullptr; at++) {
    const std::string word = argv[at];
    if (word == "group") {
      options.group = true;
    } else if (word == "mallopt") {
      // As the bridge's tuneAllocator: receive buffers are kept, not mapped anew for each fetch.
      mallopt(M_MMAP_THRESHOLD, 32 << 20);
      mallopt(M_TRIM_THRESHOLD, 1 << 30);
      mallopt(M_TOP_PAD, 64 << 20);
    } else {
      fail("not known: " + word);
    }
  }
  for (auto& setting : logbench::settings(argc, argv, at)) options.settings.push_back(setting);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const std::string group =
      "native-" + std::to_string(getpid()) + "-" + std::to_string(time(nullptr));
  Totals totals;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < options.consumers; i++) {
    threads.emplace_back([&, i] { consume(options, group, i, totals); });
  }
  for (auto& thread : threads) thread.join();
  if (!totals.isDone) {
    std::fprintf(stderr, "only %llu records came\n",
                 static_cast<unsigned long long>(totals.records.load()));
    _exit(1);
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double seconds = static_cast<double>(totals.last.wall - totals.first.wall) / 1e9;
  const double cpu = static_cast<double>(totals.last.cpu - totals.first.cpu) / 1e9;
  const auto records = static_cast<unsigned long long>(totals.records.load());
  const auto bytes = static_cast<unsigned long long>(totals.bytes.load());
  std::printf("{\"records\": %llu, \"bytes\": %llu, \"matched\": %llu, \"seconds\": %.4f, "
              "\"records_per_second\": %.0f, \"bytes_per_second\": %.0f, \"cpu_seconds\": %.4f, "
              "\"peak_rss_bytes\": %llu}\n",
              records, bytes, static_cast<unsigned long long>(totals.matched.load()), seconds,
              static_cast<double>(records) / seconds, static_cast<double>(bytes) / seconds, cpu,
              static_cast<unsigned long long>(usage.ru_maxrss) * 1024);
  std::fflush(stdout);
  // Without closing: leaving groups and freeing what was fetched ahead is not what is measured.
  _exit(0);
}
