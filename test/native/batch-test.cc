// Record batches made by chance, whole and damaged: what a scan finds in them, alone and in a slot,
// and that it never reads beside them. And expressions made by chance on values that are JSON,
// nearly JSON, or none: a search for candidates finds the records that evaluating each one finds.
//
//   batch-test [SEED] [SECONDS]       bash test/native/run.sh builds and runs it
//
// A batch lies in a block of its own size, so that AddressSanitizer sees a read outside. Of a whole
// one each hit is compared with a search written as plainly as can be. In a damaged one (bytes
// changed, cut off, counts made up) any answer is right that keeps the promises: offsets rise
// within the batch's, what is found is really there, and what cannot be read is told.
//
// A slot takes several of them, records of older formats in between, as Consumer::place puts them
// there, and has so little room that its hits come in passes and alone. librdkafka's messages are
// this file's own: it defines the functions that read them.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "client.h"
#include "pool.h"
#include "scan.h"

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: not true: %s (seed %llu)\n", __FILE__, __LINE__,       \
                   #condition, static_cast<unsigned long long>(seedOfRound));             \
      std::abort();                                                                       \
    }                                                                                     \
  } while (0)

namespace {

using namespace logpipe;
using Random = std::mt19937_64;
using Text = std::optional<std::string>;

uint64_t seedOfRound = 0;

size_t below(Random& random, size_t limit) { return random() % limit; }

struct Record {
  int64_t offset = 0;
  int64_t timestamp = 0;
  Text key;
  Text value;
  std::vector<std::pair<std::string, Text>> headers;
};

void putVarint(std::string& out, int64_t value) {
  auto bits = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  for (; bits >= 0x80; bits >>= 7) out += static_cast<char>(bits | 0x80);
  out += static_cast<char>(bits);
}

void putText(std::string& out, const Text& text) {
  putVarint(out, text.has_value() ? static_cast<int64_t>(text->size()) : -1);
  if (text.has_value()) out += *text;
}

void putRecord(std::string& out, const Record& record, int64_t base, int64_t baseTimestamp) {
  std::string body(1, '\0');
  putVarint(body, record.timestamp - baseTimestamp);
  putVarint(body, record.offset - base);
  putText(body, record.key);
  putText(body, record.value);
  putVarint(body, static_cast<int64_t>(record.headers.size()));
  for (const auto& [name, value] : record.headers) {
    putText(body, name);
    putText(body, value);
  }
  putVarint(out, static_cast<int64_t>(body.size()));
  out += body;
}

// Few letters, so that patterns stand in keys, headers and framing too, and across their ends.
Text anyText(Random& random, bool mayBeNull) {
  if (mayBeNull && below(random, 8) == 0) return std::nullopt;
  std::string text(below(random, below(random, 6) == 0 ? 300 : 12), '\0');
  for (char& letter : text) letter = static_cast<char>("ab\x02\x04\x0a"[below(random, 5)]);
  return text;
}

std::vector<Record> anyRecords(Random& random, int64_t base, int64_t baseTimestamp) {
  std::vector<Record> records(1 + below(random, 30));
  int64_t offset = base;
  for (Record& record : records) {
    offset += static_cast<int64_t>(below(random, 5) == 0 ? below(random, 200) : 0);
    record.offset = offset++;
    record.timestamp = baseTimestamp + static_cast<int64_t>(below(random, 5000)) - 2000;
    record.key = anyText(random, true);
    record.value = anyText(random, true);
    record.headers.resize(below(random, 4) == 0 ? below(random, 4) : 0);
    for (auto& [name, value] : record.headers) {
      name = *anyText(random, false);
      value = anyText(random, true);
    }
  }
  return records;
}

// The batch's bytes in memory of exactly their size.
struct Block {
  explicit Block(const std::string& text) : bytes(new uint8_t[text.size()]), size(text.size()) {
    std::copy(text.begin(), text.end(), bytes.get());
  }
  std::unique_ptr<uint8_t[]> bytes;
  size_t size;
};

Batch batchOf(const Block& block, int64_t base, int64_t to, int64_t baseTimestamp, size_t count) {
  Batch batch;
  batch.bytes = Bytes{block.bytes.get(), block.size};
  batch.base = batch.from = base;
  batch.to = to;
  batch.baseTimestamp = baseTimestamp;
  batch.maxTimestamp = baseTimestamp + 3000;
  batch.records = static_cast<int32_t>(count);
  batch.timestampType = RD_KAFKA_TIMESTAMP_CREATE_TIME;
  return batch;
}

Text textOf(const Bytes& bytes) {
  if (bytes.data == nullptr) return std::nullopt;
  return std::string(bytes.data, bytes.end());
}

std::string encoded(const std::vector<std::pair<std::string, Text>>& headers) {
  std::string out;
  if (headers.empty()) return out;
  const auto putU32 = [&out](size_t value) {
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
  };
  putU32(headers.size());
  for (const auto& [name, value] : headers) {
    putU32(name.size());
    out += name;
    putU32(value.has_value() ? value->size() : UINT32_MAX);
    out += value.value_or("");
  }
  return out;
}

std::vector<std::string> anyPatterns(Random& random) {
  // More than two are searched for as a set.
  std::vector<std::string> patterns(below(random, below(random, 6) == 0 ? 12 : 4));
  for (std::string& pattern : patterns) {
    do {
      pattern = *anyText(random, false);
    } while (pattern.empty());
    pattern.resize(std::min<size_t>(pattern.size(), 1 + below(random, 5)));
  }
  return patterns;
}

bool matches(const Record& record, const std::vector<std::string>& patterns, bool invert) {
  bool holds = patterns.empty();
  for (const std::string& pattern : patterns) {
    holds = holds || (record.value.has_value() && record.value->find(pattern) != std::string::npos);
  }
  return holds != invert;
}

std::string headersOf(const BatchRecord& record, bool& isWellFormed) {
  std::string out(record.headerBytes(isWellFormed), '\0');
  if (!out.empty()) record.encodeHeaders(reinterpret_cast<uint8_t*>(out.data()));
  return out;
}

void checkHit(const BatchRecord& hit, const Record& record) {
  CHECK(hit.offset == record.offset && hit.timestamp == record.timestamp);
  CHECK(textOf(hit.key) == record.key && textOf(hit.value) == record.value);
  bool isWellFormed = false;
  CHECK(headersOf(hit, isWellFormed) == encoded(record.headers) && isWellFormed);
}

constexpr int64_t BASE_TIMESTAMP = 1'700'000'000'000;

void wholeBatch(Random& random) {
  const auto base = static_cast<int64_t>(random() % (uint64_t{1} << 40));
  const auto records = anyRecords(random, base, BASE_TIMESTAMP);
  std::string text;
  for (const Record& record : records) putRecord(text, record, base, BASE_TIMESTAMP);
  const Block block(text);
  const int64_t to = records.back().offset + 1 + static_cast<int64_t>(below(random, 3));
  Batch batch = batchOf(block, base, to, BASE_TIMESTAMP, records.size());
  // Half of them begin or end within the batch.
  const auto span = static_cast<size_t>(to - base) + 10;
  const int64_t from = base - 5 + static_cast<int64_t>(below(random, 2) * below(random, span));
  const int64_t stop = to + 5 - static_cast<int64_t>(below(random, 2) * below(random, span));
  batch.narrow(from, stop);
  std::vector<const Record*> wanted;
  for (const Record& record : records) {
    if (record.offset >= from && record.offset < stop) wanted.push_back(&record);
  }
  CHECK(batch.records == static_cast<int32_t>(wanted.size()));
  const auto patterns = anyPatterns(random);
  const bool invert = below(random, 2) == 0;
  const Filter filter(patterns, false, invert);
  BatchScan scan(batch, filter);
  for (size_t index = 0; index < wanted.size(); index++) {
    if (!matches(*wanted[index], patterns, invert)) continue;
    CHECK(scan.next());
    CHECK(scan.index() == static_cast<int32_t>(index));
    checkHit(scan.record(), *wanted[index]);
  }
  CHECK(!scan.next() && !scan.isBroken());
}

void damage(Random& random, std::string& text) {
  for (size_t times = 1 + below(random, 4); times > 0 && !text.empty(); times--) {
    const size_t at = below(random, text.size());
    switch (below(random, 5)) {
      case 0: text.resize(at); break;
      case 1: text.insert(at, 1 + below(random, 12), static_cast<char>(random())); break;
      case 2: text[at] = static_cast<char>(0xff); break;
      default: text[at] = static_cast<char>(random());
    }
  }
}

void damagedBatch(Random& random) {
  const int64_t base = 1000;
  const auto records = anyRecords(random, base, BASE_TIMESTAMP);
  std::string text;
  for (const Record& record : records) putRecord(text, record, base, BASE_TIMESTAMP);
  damage(random, text);
  const Block block(text);
  const int64_t to = records.back().offset + 1;
  const size_t count = below(random, 3) == 0 ? below(random, 100) : records.size();
  Batch batch = batchOf(block, base, to, BASE_TIMESTAMP, count);
  if (below(random, 2) == 0) {
    const int64_t from = base + static_cast<int64_t>(below(random, 20));
    batch.narrow(from, from + static_cast<int64_t>(below(random, 30)));
  }
  const auto patterns = anyPatterns(random);
  const bool invert = below(random, 2) == 0;
  const Filter filter(patterns, false, invert);
  BatchScan scan(batch, filter);
  int64_t next = batch.from;
  int32_t index = -1;
  while (scan.next()) {
    const BatchRecord& hit = scan.record();
    CHECK(hit.offset >= next && hit.offset < batch.to && scan.index() > index);
    CHECK(hit.end <= block.bytes.get() + block.size);
    next = hit.offset + 1;
    index = scan.index();
    bool isWellFormed = false;
    headersOf(hit, isWellFormed);
    Record record;
    record.key = textOf(hit.key);
    record.value = textOf(hit.value);
    CHECK(matches(record, patterns, invert));
  }
  CHECK(index < batch.records);
  // Whoever decides every record has read all of them, or was told.
  if (patterns.empty() && !invert) CHECK(scan.isBroken() || index == batch.records - 1);
}


// A message as librdkafka would hand it on; destroying it counts.
struct Message : rd_kafka_message_t {
  std::optional<rd_kafka_batch_t> batch;  // None: one record of an older format.
  int64_t timestamp = -1;
  rd_kafka_timestamp_type_t timestampType = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  std::string keyBytes;
  std::string rawHeaders;
  std::unique_ptr<Block> block;
  bool isDestroyed = false;
};

}  // namespace

// In place of librdkafka's.
void rd_kafka_message_destroy(rd_kafka_message_t* message) {
  CHECK(!std::exchange(static_cast<Message*>(message)->isDestroyed, true));
}
int rd_kafka_message_batch(const rd_kafka_message_t* message, rd_kafka_batch_t* batch) {
  const auto& made = *static_cast<const Message*>(message);
  if (made.batch.has_value()) *batch = *made.batch;
  return made.batch.has_value() ? 1 : 0;
}
int32_t rd_kafka_message_leader_epoch(const rd_kafka_message_t*) { return -1; }
int64_t rd_kafka_message_timestamp(const rd_kafka_message_t* message,
                                   rd_kafka_timestamp_type_t* type) {
  const auto& made = *static_cast<const Message*>(message);
  *type = made.timestampType;
  return made.timestamp;
}
const void* rd_kafka_message_raw_headers(const rd_kafka_message_t* message, size_t* size) {
  const auto& made = *static_cast<const Message*>(message);
  *size = made.rawHeaders.size();
  return made.rawHeaders.empty() ? nullptr : made.rawHeaders.data();
}

namespace {

std::string rawHeadersOf(const Record& record) {
  std::string out;
  if (record.headers.empty()) return out;
  putVarint(out, static_cast<int64_t>(record.headers.size()));
  for (const auto& [name, value] : record.headers) {
    putText(out, name);
    putText(out, value);
  }
  return out;
}

std::unique_ptr<Message> messageOf(const std::string& bytes, bool isNull) {
  auto message = std::make_unique<Message>();
  static_cast<rd_kafka_message_t&>(*message) = {};
  message->block = std::make_unique<Block>(bytes);
  message->len = bytes.size();
  message->payload = isNull ? nullptr : message->block->bytes.get();
  return message;
}

// One record of an older format.
std::unique_ptr<Message> aloneOf(Random& random, Record& record) {
  auto message = messageOf(record.value.value_or(""), !record.value.has_value());
  message->timestampType = static_cast<rd_kafka_timestamp_type_t>(below(random, 3));
  if (message->timestampType == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) record.timestamp = -1;
  message->timestamp = record.timestamp;
  message->offset = record.offset;
  message->keyBytes = record.key.value_or("");
  message->key = record.key.has_value() ? message->keyBytes.data() : nullptr;
  message->key_len = message->keyBytes.size();
  message->rawHeaders = rawHeadersOf(record);
  return message;
}

std::unique_ptr<Message> wholeOf(Random& random, std::vector<Record>& records, bool isDamaged) {
  const int64_t base = records.front().offset - static_cast<int64_t>(below(random, 2));
  const bool isAppend = below(random, 4) == 0;
  std::string text;
  for (const Record& record : records) putRecord(text, record, base, BASE_TIMESTAMP);
  if (isDamaged) damage(random, text);
  auto message = messageOf(text, false);
  message->offset = records.back().offset + static_cast<int64_t>(below(random, 3));
  message->batch = rd_kafka_batch_t{base, base, BASE_TIMESTAMP, BASE_TIMESTAMP + 3000,
                                    static_cast<int32_t>(records.size()), isAppend ? 1 : 0};
  if (isDamaged && below(random, 3) == 0) {
    message->batch->record_count = static_cast<int32_t>(1 + below(random, 100));
  }
  for (Record& record : records) record.timestamp = isAppend ? BASE_TIMESTAMP + 3000
                                                             : record.timestamp;
  return message;
}

// A slot with batches of one partition in it, and what is to be found there.
class FullSlot {
 public:
  FullSlot(Random& random, const std::shared_ptr<Client>& client, rd_kafka_topic_t* topic,
           bool isDamaged)
      : client_(client),
        shape_{1, below(random, 3) == 0 ? 4096 : below(random, 500), 1 + below(random, 12)},
        memory_(new uint64_t[shape_.slotBytes() / 8]()),
        pool_(reinterpret_cast<uint8_t*>(memory_.get()), shape_.slotBytes(), shape_),
        patterns_(anyPatterns(random)),
        invert_(below(random, 3) == 0) {
    const Pool::Use use(pool_, 0);
    int64_t expected = static_cast<int64_t>(below(random, 1000));
    const size_t damaged = isDamaged ? below(random, 4) : SIZE_MAX;
    for (size_t index = 0; index < 4; index++) {
      auto records = anyRecords(random, expected + static_cast<int64_t>(below(random, 3)),
                                BASE_TIMESTAMP);
      if (below(random, 3) == 0) records.resize(1);
      const bool isAlone = records.size() == 1 && index != damaged;
      auto message = isAlone ? aloneOf(random, records.front())
                             : wholeOf(random, records, index == damaged);
      message->rkt = topic;
      if (message->batch.has_value() && below(random, 4) == 0) {
        message->batch->from_offset += static_cast<int64_t>(below(random, 4));
      }
      take(random, use.held(), *message, records, expected);
      messages_.push_back(std::move(message));
    }
    pool_.finish(use);
    set(layout::SLOT_FILTERING);
  }

  // Until there is nothing more. Of what is whole each hit is compared.
  void scan(bool isDamaged) {
    if (held_ == 0) return;
    const Filter filter(patterns_, false, invert_);
    auto due = wanted_.begin();
    double covered = 0;
    int64_t records = 0;
    for (bool hasMore = true; hasMore;) {
      const size_t hits = pool_.scan(0, [&] { return filter; });
      const layout::Slot slot(reinterpret_cast<uint8_t*>(memory_.get()), shape_);
      const int32_t flags = slot.word(layout::HEADER_FLAGS);
      hasMore = (flags & layout::SLOT_FLAG_MORE) != 0;
      const bool isOversize = (flags & layout::SLOT_FLAG_OVERSIZE) != 0;
      CHECK(hits <= shape_.recordsMax && (!isOversize || hits == 1));
      records += slot.word(layout::HEADER_RECORDS);
      size_t hit = 0;
      for (int32_t index = 0; index < slot.word(layout::HEADER_RUNS); index++) {
        const layout::Run& run = slot.run(static_cast<size_t>(index));
        CHECK(run.coverFrom >= covered && run.coverTo > run.coverFrom && run.records >= 0);
        CHECK(isDamaged || covered == 0 || run.coverFrom == covered);
        CHECK(run.firstHit == static_cast<int32_t>(hit) && run.hits >= 0);
        covered = run.coverTo;
        for (const size_t end = hit + static_cast<size_t>(run.hits); hit < end; hit++) {
          const Record record = read(slot, hit, isOversize);
          const auto offset = static_cast<double>(record.offset);
          CHECK(offset >= run.coverFrom && offset < run.coverTo);
          CHECK(matches(record, patterns_, invert_));
          if (isDamaged) continue;
          CHECK(due != wanted_.end());
          CHECK(record.offset == due->offset && record.timestamp == due->timestamp);
          CHECK(record.key == due->key && record.value == due->value);
          CHECK(headers_ == encoded(due->headers));
          due++;
        }
      }
      CHECK(hit == hits);
    }
    CHECK(isDamaged || (due == wanted_.end() && records == held_));
    for (const auto& message : messages_) CHECK(message->isDestroyed);
    CHECK(pool_.bytes() == 0);
  }

 private:
  void set(int32_t state) { *reinterpret_cast<int32_t*>(memory_.get()) = state; }

  // As Consumer::place.
  void take(Random& random, Pool::Held& held, Message& message,
            const std::vector<Record>& records, int64_t& expected) {
    Batch batch = Batch::of(&message);
    const int64_t stop = below(random, 4) == 0 ? batch.to - static_cast<int64_t>(below(random, 3))
                                               : INT64_MAX;
    const int64_t from = batch.from;
    batch.narrow(expected, stop);
    if (batch.records == 0) {
      rd_kafka_message_destroy(&message);
      return;
    }
    layout::Run run{};
    run.assignmentId = 7;
    run.coverFrom = static_cast<double>(expected);
    const bool isNew = held.runs.empty() || below(random, 3) == 0;
    pool_.add(held, batch, client_, isNew ? &run : nullptr);
    expected = batch.to;
    held_ += batch.records;
    for (const Record& record : records) {
      const bool isWanted = record.offset >= std::max(from, batch.from) && record.offset < batch.to;
      if (isWanted && matches(record, patterns_, invert_)) wanted_.push_back(record);
    }
  }

  // A hit as the slot has it, or as it is handed out alone; its headers in headers_.
  Record read(const layout::Slot& slot, size_t hit, bool isOversize) {
    const layout::Record& row = slot.record(hit);
    Record record;
    record.offset = static_cast<int64_t>(row.offset);
    record.timestamp = static_cast<int64_t>(row.timestamp);
    if (isOversize) {
      const Pool::Oversize copy = pool_.copyOversize(0);
      if (copy.hasValue) record.value = copy.value;
      if (copy.hasKey) record.key = copy.key;
      headers_ = copy.headers;
      return record;
    }
    const char* at = reinterpret_cast<const char*>(slot.payload()) + row.start;
    const auto text = [&at](int32_t size) {
      at += std::max(size, 0);
      return size < 0 ? Text() : Text(std::string(at - size, at));
    };
    record.value = text(row.valueBytes);
    record.key = text(row.keyBytes);
    headers_ = *text(row.headersBytes);
    CHECK(at <= reinterpret_cast<const char*>(slot.payload()) + shape_.bufferBytes);
    return record;
  }

  std::shared_ptr<Client> client_;
  std::vector<std::unique_ptr<Message>> messages_;
  layout::Shape shape_;
  std::unique_ptr<uint64_t[]> memory_;
  Pool pool_;
  std::vector<std::string> patterns_;
  bool invert_;
  std::vector<Record> wanted_;
  int64_t held_ = 0;
  std::string headers_;
};

void slotOfBatches(Random& random, const std::shared_ptr<Client>& client, rd_kafka_topic_t* topic) {
  const bool isDamaged = below(random, 2) == 0;
  FullSlot(random, client, topic, isDamaged).scan(isDamaged);
  // A batch that breaks off is told, and so are headers that cannot be read.
  for (const Event& event : client->events.take()) {
    CHECK(isDamaged);
    CHECK(event.kind == Event::Kind::Rewind || event.code == "_BAD_MSG");
  }
}

template <size_t N>
std::string oneOf(Random& random, const char* const (&texts)[N]) {
  return texts[below(random, N)];
}

const char* const JSON_TEXTS[] = {"\"a\"",           "\"b\"", "\"a.b\"", "\"ERROR\"",
                                  "\"\\u0045RROR\"", "\"5\"", "\"\"",    "\"\\ud83d\\ude00\"",
                                  "\"\\ud83d\""};
const char* const JSON_SCALARS[] = {
    "1", "-0.5e3", "500", "5e2", "true", "false", "null", "12345678901234567890", "1e999"};
const char* const SCRAPS[] = {"{",   "}",     "[",    "]",    ":",      ",",  "\"",
                              "\\",  "\\u00", "\xff", "\xc3", " ",      "\n", "ERROR",
                              "tru", "-",     "1.",   "\x01", "\"a\":", "e5"};

std::string anyJson(Random& random, int depth) {
  if (depth > 3 || below(random, 3) == 0) {
    return below(random, 2) == 0 ? oneOf(random, JSON_TEXTS) : oneOf(random, JSON_SCALARS);
  }
  const bool isObject = depth == 0 || below(random, 2) == 0;
  std::string out = isObject ? "{" : "[";
  for (size_t left = below(random, 5); left > 0; left--) {
    if (isObject) out += oneOf(random, JSON_TEXTS) + ":";
    out += anyJson(random, depth + 1);
    if (left > 1) out += below(random, 4) == 0 ? " , " : ",";
  }
  return out + (isObject ? "}" : "]");
}

std::string anyValue(Random& random) {
  std::string text = anyJson(random, 0);
  if (below(random, 30) == 0) text = std::string(600, '[') + text;
  for (size_t times = below(random, 2) * below(random, 4); times > 0; times--) {
    text.insert(below(random, text.size() + 1), oneOf(random, SCRAPS));
  }
  if (below(random, 10) == 0) text.resize(below(random, text.size() + 1));
  return text;
}

const char* const REGEXES[] = {
    "ERR",  "E.*R", "^\\\\{",    "a|b",    "(a+)+$", "\\\\d{3}", "\\\\bERROR\\\\b",
    "[^a]", "",     "(?i)error", "R(OR)*", "x?",     "\\\\x00",  "(?:a.*|b.+c*)"};
const char* const TESTS[] = {
    R"({"op":"exists"})",
    R"({"op":"equals","text":"ERROR"})",
    R"({"op":"equals","text":"500"})",
    R"({"op":"equals","text":"true"})",
    R"({"op":"wildcard","parts":["E","R",""]})",
    R"({"op":"<","text":"500"})",
    R"({"op":">=","text":"ERR"})",
    R"({"op":"contains","text":"RO"})",
    R"({"op":"regex","source":"^E.*R$","ignoreCase":true})",
};
const char* const TARGETS[] = {
    R"({"of":"field","path":["a"]})",
    R"({"of":"field","path":["a","b"]})",
    R"({"of":"field","path":["ERROR"]})",
    R"({"of":"field","path":["a","b","5"]})",
    R"({"of":"key"})",
    R"({"of":"partition"})",
    R"({"of":"offset"})",
    R"({"of":"time"})",
    R"({"of":"header","name":"a"})",
    R"({"of":"topic"})",
};
const char* const LITERALS[] = {"4552524f52", "5c75", "61", "22", "", "7b", "ff", "3530"};

std::string anyNode(Random& random, int depth) {
  const std::string fold = below(random, 2) == 0 ? "true" : "false";
  switch (below(random, depth > 3 ? 4 : 7)) {
    case 0:
    case 1:
      return R"({"kind":"compare","target":)" + oneOf(random, TARGETS) + R"(,"test":)" +
             oneOf(random, TESTS) + "}";
    case 2:
      return R"({"kind":"bytes","hex":")" + oneOf(random, LITERALS) + R"(","ignoreCase":)" + fold +
             "}";
    case 3:
      return R"({"kind":"regex","source":")" + oneOf(random, REGEXES) + R"(","ignoreCase":)" +
             fold + "}";
    case 4: return R"({"kind":"not","of":)" + anyNode(random, depth + 1) + "}";
    default: break;
  }
  std::string of;
  for (size_t left = below(random, below(random, 8) == 0 ? 14 : 4); left > 0; left--) {
    of += anyNode(random, depth + 1) + (left > 1 ? "," : "");
  }
  return std::string(R"({"kind":")") + (below(random, 2) == 0 ? "all" : "any") + R"(","of":[)" +
         of + "]}";
}

std::string programOf(const std::string& keep, const std::string& drop) {
  return R"({"keep":)" + keep + R"(,"drop":)" + drop + R"(,"prefilter":null})";
}

std::vector<int64_t> hitsOf(const Batch& batch, const Filter& filter) {
  std::vector<int64_t> hits;
  BatchScan scan(batch, filter);
  while (scan.next()) hits.push_back(scan.record().offset);
  CHECK(!scan.isBroken());
  return hits;
}

// A part that is false keeps the planner from finding anything to search for.
std::string eachRecord(const std::string& node) {
  return R"({"kind":"any","of":[)" + node + R"(,{"kind":"not","of":{"kind":"all","of":[]}}]})";
}

void expressionOnBatches(Random& random) {
  const std::string keep = anyNode(random, 0);
  const std::string drop = below(random, 2) == 0 ? "null" : anyNode(random, 1);
  const Filter searching(programOf(keep, drop));
  const Filter each(programOf(eachRecord(keep), drop));
  for (int turn = 0; turn < 8; turn++) {
    auto records = anyRecords(random, 0, BASE_TIMESTAMP);
    std::string text;
    for (Record& record : records) {
      if (below(random, 10) != 0) record.value = anyValue(random);
      putRecord(text, record, 0, BASE_TIMESTAMP);
    }
    const Block block(text);
    const int64_t to = records.back().offset + 1;
    const Batch batch = batchOf(block, 0, to, BASE_TIMESTAMP, records.size());
    const auto hits = hitsOf(batch, each);
    if (hitsOf(batch, searching) != hits) {
      std::fprintf(stderr, "keep %s drop %s\n", keep.c_str(), drop.c_str());
      CHECK(false);
    }
  }
}

// Records by what a filter says of each, all of them asked.
std::set<int64_t> keptBy(const Batch& batch, const std::string& keep, const std::string& drop) {
  const auto hits = hitsOf(batch, Filter(programOf(eachRecord(keep), drop)));
  return {hits.begin(), hits.end()};
}

// A set of alternatives in two groups, against the same expressions one by one.
void setOnBatch(Random& random) {
  struct Alternative {
    std::string keep;
    std::string drop;
    std::set<int64_t> met;
    std::set<int64_t> holding;
  };
  auto records = anyRecords(random, 0, BASE_TIMESTAMP);
  std::string text;
  for (Record& record : records) {
    if (below(random, 10) != 0) record.value = anyValue(random);
    putRecord(text, record, 0, BASE_TIMESTAMP);
  }
  const Block block(text);
  const Batch batch =
      batchOf(block, 0, records.back().offset + 1, BASE_TIMESTAMP, records.size());
  std::vector<Alternative> all(1 + below(random, 12));
  const size_t first = 1 + below(random, all.size());
  const bool isEach = below(random, 2) == 0;
  std::string groups[2];
  for (size_t index = 0; index < all.size(); index++) {
    Alternative& one = all[index];
    one.keep = anyNode(random, 2);
    one.drop = below(random, 2) == 0 ? "null" : anyNode(random, 2);
    one.met = keptBy(batch, one.keep, "null");
    one.holding = keptBy(batch, one.keep, one.drop);
    std::string& group = groups[index < first ? 0 : 1];
    group += (group.empty() ? "" : ",") + programOf(one.keep, one.drop);
  }
  const std::string each = isEach ? "true" : "false";
  const Filter set(R"({"groups":[{"all":)" + each + R"(,"of":[)" + groups[0] +
                   R"(]},{"all":true,"of":[)" + groups[1] + "]}]}");
  std::map<int64_t, std::vector<uint16_t>> wanted;
  std::vector<uint16_t> dropped;
  for (const Record& record : records) {
    std::vector<uint16_t> hits;
    size_t ofFirst = 0;
    int32_t droppedBy = Verdict::NONE;
    for (size_t index = 0; index < all.size(); index++) {
      if (!all[index].met.contains(record.offset)) continue;
      if (all[index].holding.contains(record.offset)) {
        if (index < first && ++ofFirst > 1 && !isEach) continue;
        hits.push_back(static_cast<uint16_t>(index));
      } else if (index < first && droppedBy == Verdict::NONE) {
        droppedBy = static_cast<int32_t>(index);
      }
    }
    if (!hits.empty()) wanted[record.offset] = hits;
    if (hits.empty() && droppedBy != Verdict::NONE) {
      dropped.push_back(static_cast<uint16_t>(droppedBy));
    }
  }
  std::map<int64_t, std::vector<uint16_t>> found;
  BatchScan scan(batch, set);
  while (scan.next()) found[scan.record().offset] = scan.verdict().hits;
  if (found != wanted || scan.dropped() != dropped) {
    for (const Alternative& one : all) {
      std::fprintf(stderr, "keep %s drop %s\n", one.keep.c_str(), one.drop.c_str());
    }
    CHECK(false);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 5;
  const auto started = std::chrono::steady_clock::now();
  uint64_t round = 0;
  const auto client = Client::open({{"group.id", "none"}}, {});
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client->handle(), "t", nullptr);
  const auto isTime = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() <
           seconds;
  };
  while (round % 256 != 0 || isTime()) {
    seedOfRound = seed * 1'000'003 + round++;
    Random random(seedOfRound);
    wholeBatch(random);
    damagedBatch(random);
    slotOfBatches(random, client, topic);
    if (round % 8 == 0) expressionOnBatches(random);
    if (round % 8 == 4) setOnBatch(random);
  }
  rd_kafka_topic_destroy(topic);
  std::printf("  %llu rounds of batches, alone and in slots, whole and damaged: ok\n", static_cast<unsigned long long>(round));
}
