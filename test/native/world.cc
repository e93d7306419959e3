// The harness's world: see world.h.
#include "world.h"

#include <random>

namespace world {
namespace {

void putU32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

}  // namespace

Record recordAt(int32_t partition, int64_t offset) {
  const auto seed = static_cast<uint64_t>(partition) * 1000003 + static_cast<uint64_t>(offset);
  std::minstd_rand random(static_cast<unsigned>(seed + 1));
  random.discard(3);
  Record record{true, random() % 3 != 0, "", "", "", false};
  const auto kind = random() % 100;
  if (kind == 0) {
    record.hasValue = false;
  } else if (kind > 1) {  // 1: an empty value.
    size_t size = 100 + random() % 1400;
    if (random() % 300 == 0) size = BUFFER_BYTES + random() % BUFFER_BYTES;
    if (random() % 50 == 0) size = BUFFER_BYTES / 2 + random() % (BUFFER_BYTES / 2);
    record.value = "partition=" + std::to_string(partition) + " offset=" + std::to_string(offset);
    record.value.resize(size, static_cast<char>('a' + random() % 26));
    record.isHit = random() % 10 == 0;
    if (record.isHit) record.value.replace(random() % (size - 5), 5, "ERROR");
    // Half of an ERROR at each end: two records together must not make one.
    if (!record.isHit) record.value.replace(size - 3, 3, "ERR");
  }
  if (record.hasKey && random() % 4 != 0) record.key = "key-" + std::to_string(offset);
  if (random() % 4 == 0) {
    const auto count = static_cast<uint32_t>(1 + random() % 3);
    putU32(record.headers, count);
    for (uint32_t index = 0; index < count; index++) {
      const std::string name = "h" + std::to_string(index);
      putU32(record.headers, static_cast<uint32_t>(name.size()));
      record.headers += name;
      const bool isNull = random() % 4 == 0;
      const std::string value = isNull ? "" : std::string(random() % 20, 'v');
      putU32(record.headers, isNull ? UINT32_MAX : static_cast<uint32_t>(value.size()));
      record.headers += value;
    }
  }
  return record;
}

static rd_kafka_headers_t* headersFrom(const std::string& bytes) {
  if (bytes.empty()) return nullptr;
  size_t at = 0;
  const auto getU32 = [&] {
    uint32_t value = 0;
    for (int shift = 0; shift < 32; shift += 8) {
      value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at++])) << shift;
    }
    return value;
  };
  const uint32_t count = getU32();
  rd_kafka_headers_t* headers = rd_kafka_headers_new(count);
  for (uint32_t index = 0; index < count; index++) {
    const uint32_t nameBytes = getU32();
    const std::string name = bytes.substr(at, nameBytes);
    at += nameBytes;
    const uint32_t valueBytes = getU32();
    const bool isNull = valueBytes == UINT32_MAX;
    rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()),
                        isNull ? nullptr : bytes.data() + at, isNull ? 0 : valueBytes);
    if (!isNull) at += valueBytes;
  }
  return headers;
}

void produce(const Mock& mock, const std::string& topic, int32_t partitions, int64_t count,
             int64_t from) {
  char text[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", mock.bootstrapServers().c_str(), text, sizeof text);
  rd_kafka_conf_set(conf, "linger.ms", "20", text, sizeof text);
  rd_kafka_conf_set(conf, "compression.codec", "lz4", text, sizeof text);
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
  CHECK(producer != nullptr);
  for (int64_t offset = from; offset < from + count; offset++) {
    for (int32_t partition = 0; partition < partitions; partition++) {
      Record record = recordAt(partition, offset);
      rd_kafka_headers_t* headers = headersFrom(record.headers);
      const auto error = rd_kafka_producev(
          producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
          RD_KAFKA_V_VALUE(record.hasValue ? record.value.data() : nullptr, record.value.size()),
          RD_KAFKA_V_KEY(record.hasKey ? record.key.data() : nullptr, record.key.size()),
          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
      CHECK(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    rd_kafka_poll(producer, 0);
  }
  CHECK(rd_kafka_flush(producer, 30000) == RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_destroy(producer);
}

Properties config(const Mock& mock, const std::string& group, const Properties& more) {
  Properties properties{{"bootstrap.servers", mock.bootstrapServers()},
                        {"group.id", group},
                        {"enable.auto.commit", "false"},
                        {"enable.auto.offset.store", "false"},
                        {"auto.offset.reset", "earliest"},
                        {"heartbeat.interval.ms", "100"},
                        // The mock ends a rebalance, in which a member left, a second before.
                        {"session.timeout.ms", "2500"},
                        {"fetch.wait.max.ms", "20"},
                        {"fetch.queue.backoff.ms", "1"}};
  properties.insert(properties.end(), more.begin(), more.end());
  return properties;
}

void Books::assigned(int32_t assignmentId, int32_t partition, int64_t from) {
  std::lock_guard lock(mutex_);
  CHECK(assignments_.emplace(assignmentId, std::make_pair(partition, from)).second);
  next_.emplace(partition, from);
}

void Books::tile(const layout::Run& run) {
  std::lock_guard lock(mutex_);
  const auto found = assignments_.find(run.assignmentId);
  CHECK(found != assignments_.end());
  auto& [partition, next] = found->second;
  const auto from = static_cast<int64_t>(run.coverFrom);
  const auto to = static_cast<int64_t>(run.coverTo);
  CHECK(from == next);
  CHECK(to - from == run.records);  // The mock leaves no gaps.
  next = to;
  CHECK(next_[partition] == from);  // Whichever assignment was before.
  next_[partition] = to;
  covered_ += to - from;
}

int64_t Books::next(int32_t partition) {
  std::lock_guard lock(mutex_);
  return next_[partition];
}

int32_t Books::partitionOf(int32_t assignmentId) {
  std::lock_guard lock(mutex_);
  return assignments_.at(assignmentId).first;
}

int64_t Books::covered() {
  std::lock_guard lock(mutex_);
  return covered_;
}

Line::Line(Books& books, size_t slots, int scanners)
    : books_(books), shape_{slots, BUFFER_BYTES, 100}, memory_(slots * shape_.slotBytes() / 8) {
  pool_ = std::make_unique<Pool>(reinterpret_cast<uint8_t*>(memory_.data()), memory_.size() * 8,
                                 shape_);
  for (size_t slot = 0; slot < slots; slot++) free_.push_back(static_cast<int>(slot));
  for (int index = 0; index < scanners; index++) {
    scanners_.emplace_back([this, index] { scanLoop(static_cast<unsigned>(index) + 7); });
  }
}

Line::~Line() {
  {
    std::lock_guard lock(mutex_);
    isClosing_ = true;
  }
  changed_.notify_all();
  for (std::thread& scanner : scanners_) scanner.join();
  CHECK(pool_->bytes() == 0);
}

layout::Slot Line::slot(int index) {
  return {reinterpret_cast<uint8_t*>(memory_.data()) +
              static_cast<size_t>(index) * shape_.slotBytes(),
          shape_};
}

void Line::setState(int index, int32_t state) {
  std::atomic_ref<int32_t>(slot(index).word(layout::HEADER_STATE)).store(state);
}

int Line::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return isClosing_ || !free_.empty(); });
  if (isClosing_) return -1;
  const int index = free_.front();
  free_.pop_front();
  setState(index, layout::SLOT_FILLING);
  return index;
}

void Line::pass(int index) {
  const layout::Slot filled = slot(index);
  for (int run = 0; run < filled.word(layout::HEADER_RUNS); run++) {
    books_.tile(filled.run(static_cast<size_t>(run)));
  }
  std::lock_guard lock(mutex_);
  setState(index, layout::SLOT_READY);
  ready_.push_back(index);
  changed_.notify_all();
}

void Line::giveBack(int index) {
  std::lock_guard lock(mutex_);
  setState(index, layout::SLOT_FREE);
  free_.push_back(index);
  changed_.notify_all();
}

void Line::scanLoop(unsigned seed) {
  std::minstd_rand random(seed);
  const Filter errors({"ERROR"}, false, false);
  const Filter all({}, false, false);
  for (;;) {
    int index;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return isClosing_ || !ready_.empty(); });
      if (ready_.empty()) return;
      index = ready_.front();
      ready_.pop_front();
      setState(index, layout::SLOT_FILTERING);
    }
    const bool wantsAll = random() % 2 == 0;
    for (bool hasMore = true; hasMore;) {
      if (random() % 10 == 0) {
        pool_->discard(index);
        break;
      }
      const size_t count = pool_->scan(index, [&] { return wantsAll ? all : errors; });
      verify(index, count, wantsAll);
      hasMore = (slot(index).word(layout::HEADER_FLAGS) & layout::SLOT_FLAG_MORE) != 0;
    }
    giveBack(index);
  }
}

void Line::verify(int index, size_t count, bool all) {
  const layout::Slot scanned = slot(index);
  const bool isOversize = (scanned.word(layout::HEADER_FLAGS) & layout::SLOT_FLAG_OVERSIZE) != 0;
  size_t at = 0;
  for (int row = 0; row < scanned.word(layout::HEADER_RUNS); row++) {
    const layout::Run& run = scanned.run(static_cast<size_t>(row));
    const int32_t partition = books_.partitionOf(run.assignmentId);
    CHECK(run.firstHit == static_cast<int32_t>(at));
    CHECK(run.records == static_cast<int32_t>(run.coverTo - run.coverFrom));
    for (int32_t record = 0; record < run.records; record++) {
      const int64_t offset = static_cast<int64_t>(run.coverFrom) + record;
      const Record expected = recordAt(partition, offset);
      if (!all && !expected.isHit) continue;
      CHECK(at < count);
      const layout::Record& entry = scanned.record(at++);
      CHECK(entry.offset == static_cast<double>(offset));
      CHECK(entry.valueBytes ==
            (expected.hasValue ? static_cast<int32_t>(expected.value.size()) : -1));
      CHECK(entry.keyBytes == (expected.hasKey ? static_cast<int32_t>(expected.key.size()) : -1));
      CHECK(entry.headersBytes == static_cast<int32_t>(expected.headers.size()));
      if (isOversize) {
        const Pool::Oversize copy = pool_->copyOversize(index);
        CHECK(copy.value == expected.value && copy.key == expected.key);
        CHECK(copy.headers == expected.headers && copy.hasKey == expected.hasKey);
        continue;
      }
      const char* value = reinterpret_cast<const char*>(scanned.payload()) + entry.start;
      const char* key = value + expected.value.size();
      CHECK(expected.value == std::string(value, expected.value.size()));
      CHECK(expected.key == std::string(key, expected.key.size()));
      CHECK(expected.headers == std::string(key + expected.key.size(), expected.headers.size()));
    }
    CHECK(run.firstHit + run.hits == static_cast<int32_t>(at));
  }
  CHECK(at == count);
  hits += static_cast<int64_t>(count);
}

}  // namespace world
