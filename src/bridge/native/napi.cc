// The add-on's entry, and the face of what is neither pool nor consumer: version, allocator, locks,
// the mock cluster. Context-aware: it may be loaded in every thread; what it opens belongs to the
// process.
#include "napi-values.h"
#include "registries.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <signal.h>
#include <sys/prctl.h>
#endif

namespace logpipe::face {
namespace {

constexpr size_t TOPICS_MAX = 10000;
constexpr int32_t BROKERS_MAX = 100;
constexpr int32_t PARTITIONS_MAX = 10000;
// rd_kafka_mock.h takes a round trip's delay in ms; a minute is beyond every time-out worth
// testing.
constexpr int32_t DELAY_MS_MAX = 60000;

// A librdkafka without the insertion (src/bridge/librdkafka) loads, and is refused by version().
#pragma weak rd_kafka_whole_batches_version

Value version(Call& call) {
  call.expect(0);
  Value value = call.newObject();
  call.set(value, "librdkafka", call.of(rd_kafka_version_str()));
  const bool hasBatches = rd_kafka_whole_batches_version != nullptr &&
                          rd_kafka_whole_batches_version(nullptr) == RD_KAFKA_WHOLE_BATCHES_VERSION;
  call.set(value, "wholeBatches", call.of(hasBatches));
  Value constants = call.newObject();
  for (const layout::Entry& entry : layout::ENTRIES) {
    call.set(constants, entry.name, call.of(static_cast<double>(entry.value)));
  }
  call.set(value, "layout", constants);
  return value;
}

// librdkafka's receive buffers are megabytes: by glibc's defaults each is mapped, cleared by the
// kernel and unmapped for every fetch. The threshold is glibc's maximum; the rest keeps freed
// memory in the heap, which the memory sum counts.
//
// By default all threads share 8 arenas for each processor. Node's threads, ours and those of
// librdkafka are more than that on a small machine; the threads of two brokers that then share an
// arena wait for its lock at every record. So each thread may have its own: 256 is more threads
// than there are with a dozen of brokers for each of eight consumers.
Value tuneAllocator(Call& call) {
  call.expect(0);
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  mallopt(M_ARENA_MAX, 256);
#endif
  return call.undefined();
}

Value fileLock(Call& call) {
  call.expect(1);
  const std::string path = call.text(call.at(0), "path");
  if (path.empty()) throw Misuse("path must not be empty");
  std::unique_ptr<FileLock> lock = FileLock::take(path);
  return lock == nullptr ? call.null() : call.of(fileLocks().add(std::move(lock)));
}

Value fileUnlock(Call& call) {
  call.expect(1);
  fileLocks().remove(call.id(0, "lock"));
  return call.undefined();
}

// The kernel sends it when the thread that started us ends, which for Node is its main thread. On
// other systems there is no such thing.
Value endWithParent(Call& call) {
  call.expect(0);
#if defined(__linux__)
  prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
  return call.undefined();
}

Value mockOpen(Call& call) {
  call.expect(1);
  Value options = call.object(call.at(0), "options");
  const int32_t brokers =
      call.int32(call.field(options, "brokerCount"), "options.brokerCount", 1, BROKERS_MAX);
  std::vector<std::pair<std::string, int>> topics;
  for (Value element : call.array(call.field(options, "topics"), "options.topics")) {
    if (topics.size() == TOPICS_MAX) throw Misuse("too many topics");
    const std::string what = "options.topics[" + std::to_string(topics.size()) + "]";
    call.object(element, what);
    std::string topic = call.text(call.field(element, "topic"), what + ".topic");
    if (topic.empty()) throw Misuse(what + ".topic must not be empty");
    topics.emplace_back(std::move(topic), call.int32(call.field(element, "partitions"),
                                                     what + ".partitions", 1, PARTITIONS_MAX));
  }
  auto mock = std::make_unique<Mock>(brokers, topics);
  Value value = call.newObject();
  call.set(value, "bootstrapServers", call.of(mock->bootstrapServers()));
  call.set(value, "id", call.of(mocks().add(std::move(mock))));
  return value;
}

Value mockPushErrors(Call& call) {
  call.expect(3);
  const auto mock = mocks().lease(call.id(0, "mock"));
  const int32_t apiKey = call.int32(call.at(1), "apiKey", 0, INT16_MAX);
  std::vector<rd_kafka_resp_err_t> errors;
  for (Value element : call.array(call.at(2), "errorCodes")) {
    const std::string what = "errorCodes[" + std::to_string(errors.size()) + "]";
    errors.push_back(
        static_cast<rd_kafka_resp_err_t>(call.int32(element, what, INT16_MIN, INT16_MAX)));
  }
  mock->pushErrors(static_cast<int16_t>(apiKey), errors);
  return call.undefined();
}

int32_t brokerId(const Call& call) { return call.int32(call.at(1), "brokerId", 1, BROKERS_MAX); }

Value mockBrokerDown(Call& call) {
  call.expect(2);
  mocks().lease(call.id(0, "mock"))->brokerDown(brokerId(call));
  return call.undefined();
}

Value mockBrokerUp(Call& call) {
  call.expect(2);
  mocks().lease(call.id(0, "mock"))->brokerUp(brokerId(call));
  return call.undefined();
}

Value mockBrokerDelay(Call& call) {
  call.expect(3);
  const auto mock = mocks().lease(call.id(0, "mock"));
  mock->brokerDelay(brokerId(call), call.int32(call.at(2), "delayMs", 0, DELAY_MS_MAX));
  return call.undefined();
}

Value mockElect(Call& call) {
  call.expect(4);
  const auto mock = mocks().lease(call.id(0, "mock"));
  const std::string topic = call.text(call.at(1), "topic");
  const int32_t partition = call.int32(call.at(2), "partition", 0, INT32_MAX);
  mock->elect(topic, partition, call.int32(call.at(3), "brokerId", 1, INT32_MAX));
  return call.undefined();
}

Value mockClose(Call& call) {
  call.expect(1);
  mocks().remove(call.id(0, "mock"));
  return call.undefined();
}

constexpr Row ROWS[] = {
    {"version", version},
    {"tuneAllocator", tuneAllocator},
    {"fileLock", fileLock},
    {"fileUnlock", fileUnlock},
    {"endWithParent", endWithParent},
    {"mockOpen", mockOpen},
    {"mockPushErrors", mockPushErrors},
    {"mockBrokerDown", mockBrokerDown},
    {"mockBrokerUp", mockBrokerUp},
    {"mockBrokerDelay", mockBrokerDelay},
    {"mockElect", mockElect},
    {"mockClose", mockClose},
};

}  // namespace

void defineOther(napi_env env, Value exports) { define(env, exports, ROWS, std::size(ROWS)); }

}  // namespace logpipe::face

NAPI_MODULE_INIT() {
  logpipe::face::defineOther(env, exports);
  logpipe::face::definePool(env, exports);
  logpipe::face::defineFields(env, exports);
  logpipe::face::defineConsumer(env, exports);
  return exports;
}
