// What filters cost, in GB/s of batches a CPU second, beside one literal.
//
//   bash bench/native/build.sh && build/bench/filter-bench [SECONDS] [ROUNDS]
//
// Question: how much slower than one literal are many, regular expressions, and fields?
// Load: 64 record batches of 1 MB as Kafka sends them, one after the other, since what comes from a
// socket does not lie in a processor's nearest cache; lines as produce.cc writes them (100 B, 1
// KB), and JSON of 1 KB; one record in 1000 is kept. Sets of literals are looked for beside ERROR,
// once of words that share nothing with the lines, once of such that read like them. Each filter
// scans whole batches for SECONDS
// (0.1) of its thread's CPU time, in ROUNDS (5) interleaved rounds; medians, and the ratio to the
// one literal on the same lines.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../../src/bridge/native/scan.h"
#include "log-line.h"

namespace {

using namespace logpipe;

constexpr size_t BATCHES = 64;
constexpr size_t BATCH_BYTES = 1 << 20;
constexpr uint64_t MATCH_EVERY = 1000;

void putVarint(std::string& out, int64_t value) {
  auto bits = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  for (; bits >= 0x80; bits >>= 7) out += static_cast<char>(bits | 0x80);
  out += static_cast<char>(bits);
}

// Batches of format 2: records without key and headers.
struct Load {
  std::string name;
  std::vector<std::string> memory;
  std::vector<Batch> batches;
};

template <typename Line>
std::unique_ptr<Load> makeLoad(std::string name, const Line& lineAt) {
  auto load = std::make_unique<Load>();
  load->name = std::move(name);
  uint64_t index = 0;
  while (load->memory.size() < BATCHES) {
    std::string& memory = load->memory.emplace_back();
    int32_t count = 0;
    while (memory.size() < BATCH_BYTES) {
      std::string body(1, '\0');
      const std::string value = lineAt(index++);
      putVarint(body, count / 8);
      putVarint(body, count++);
      putVarint(body, -1);
      putVarint(body, static_cast<int64_t>(value.size()));
      body += value;
      putVarint(body, 0);
      putVarint(memory, static_cast<int64_t>(body.size()));
      memory += body;
    }
    Batch batch;
    batch.to = count;
    batch.records = count;
    load->batches.push_back(batch);
  }
  for (size_t at = 0; at < BATCHES; at++) {
    const std::string& memory = load->memory[at];
    load->batches[at].bytes = {reinterpret_cast<const uint8_t*>(memory.data()), memory.size()};
  }
  return load;
}

std::unique_ptr<Load> linesOf(size_t size) {
  auto lines = std::make_shared<logbench::LogLines>(42, size, MATCH_EVERY);
  return makeLoad(std::to_string(size) + " B lines", [lines, size](uint64_t index) {
    std::string line(size, ' ');
    lines->write(index, line.data());
    return line;
  });
}

// 1 KB: a line as message, and the fields that a service's logger puts beside it.
std::unique_ptr<Load> jsonOf() {
  constexpr size_t MESSAGE_BYTES = 500;
  auto lines = std::make_shared<logbench::LogLines>(7, MESSAGE_BYTES, MATCH_EVERY);
  return makeLoad("1 KB JSON", [lines](uint64_t index) {
    const bool isHit = index % MATCH_EVERY == MATCH_EVERY / 2;
    std::string message(MESSAGE_BYTES, ' ');
    lines->write(index, message.data());
    const std::string number = std::to_string(100000 + index);
    return R"({"@timestamp":"2026-11-22T10:11:12.)" + number + R"(Z","level":")" +
           (isHit ? "ERROR" : "INFO") + R"(","logger":"com.example.shop.orders.OrderService",)" +
           R"("thread":"http-nio-8080-exec-17","service":{"name":"orders","version":"4.17.2",)" +
           R"("node":"orders-7d9c5b8f6-x2x)" + number + R"("},"http":{"method":"GET","path":)" +
           R"("/api/v2/orders/)" + number + R"(","bytes":)" + number + R"(},"status":)" +
           (isHit ? "503" : "200") + R"(,"latency_ms":12.75,"cached":false,"retries":0,)" +
           R"("tags":["eu-west-1","blue","canary"],"trace":"4bf92f3577b34da6a3ce929d0e0e4736",)" +
           R"("span":"00f067aa0ba902b7","user":null,"message":")" + message + R"("})";
  });
}

class Random {
 public:
  uint64_t below(uint64_t limit) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state_ >> 33) % limit;
  }

 private:
  uint64_t state_ = 99;
};

// Words that no line holds, as long as words are.
std::vector<std::string> words(size_t count) {
  Random random;
  std::vector<std::string> made;
  while (made.size() < count) {
    std::string word;
    for (size_t left = 6 + random.below(9); left > 0; left--) {
      word += static_cast<char>('a' + random.below(26));
    }
    made.push_back(word);
  }
  return made;
}

// What no line holds either, but reads like the lines: their own words, beside numbers, ids and
// words of which each line holds others, and failures as a service words them.
std::vector<std::string> alike(size_t count) {
  static const char* const HEADS[] = {"order-",  "user=",      "session=", "request failed: ",
                                      "tenant=", "trace=",     "host-",    "connection ",
                                      "shard=",  "upstream_",  "svc-",     "cache miss "};
  static const char* const FAILURES[] = {"timeout", "refused",  "reset",      "denied",
                                         "expired", "exceeded", "unreachable"};
  Random random;
  std::set<std::string> made;
  while (made.size() < count) {
    std::string text = HEADS[random.below(std::size(HEADS))];
    char id[8];
    std::snprintf(id, sizeof id, "%06x", static_cast<unsigned>(random.below(1 << 24)));
    switch (random.below(3)) {
      case 0: text += std::to_string(100000 + random.below(900000)); break;
      case 1: text += FAILURES[random.below(std::size(FAILURES))] + std::to_string(made.size()); break;
      default: text += id; break;
    }
    made.insert(text);
  }
  return {made.begin(), made.end()};
}

std::string bytesNode(const std::string& text) {
  std::string hex;
  char digits[3];
  for (const char c : text) {
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<uint8_t>(c)));
    hex += digits;
  }
  return R"({"kind":"bytes","hex":")" + hex + R"(","ignoreCase":false})";
}

std::string literalsOf(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) {
    std::string node = bytesNode(text);
    node.replace(1, sizeof R"("kind":"bytes",)" - 1, "");
    list += (list.empty() ? "" : ",") + node;
  }
  return R"({"literals":[)" + list + "]}";
}

std::string program(const std::string& keep, const std::string& prefilter = "null") {
  return R"({"keep":)" + keep + R"(,"drop":null,"prefilter":)" + prefilter + "}";
}

std::string join(const char* kind, const std::vector<std::string>& nodes) {
  std::string of;
  for (const std::string& node : nodes) of += (of.empty() ? "" : ",") + node;
  return std::string(R"({"kind":")") + kind + R"(","of":[)" + of + "]}";
}

std::string regexNode(const std::string& source) {
  return R"({"kind":"regex","source":")" + source + R"(","ignoreCase":false})";
}

std::string fieldNode(const std::string& path, const std::string& op, const std::string& text) {
  return R"({"kind":"compare","target":{"of":"field","path":[")" + path + R"("]},"test":{"op":")" +
         op + R"(","text":")" + text + R"("}})";
}

struct Case {
  std::string name;
  const Load* load;
  Filter filter;
  bool isBase;
  size_t hits = 0;
  std::vector<double> rates{};
  double median() {
    std::sort(rates.begin(), rates.end());
    return rates[rates.size() / 2];
  }
};

double cpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void runOnce(Case& one, double seconds) {
  one.hits = 0;
  const double started = cpuSeconds();
  double taken = 0;
  size_t bytes = 0;
  size_t at = 0;
  do {
    const Batch& batch = one.load->batches[at++ % BATCHES];
    BatchScan scan(batch, one.filter);
    while (scan.next()) one.hits++;
    bytes += batch.bytes.size;
    taken = cpuSeconds() - started;
  } while (taken < seconds);
  one.rates.push_back(static_cast<double>(bytes) / taken / 1e9);
}

void addLiterals(std::vector<Case>& cases, const Load& load) {
  cases.push_back({"ERROR", &load, Filter({"ERROR"}, false, false), true});
  for (const size_t count : {2, 3, 4, 10, 100, 1000, 5000}) {
    for (const bool areAlike : {false, true}) {
      if (areAlike && count < 10) continue;
      std::vector<std::string> texts = areAlike ? alike(count - 1) : words(count - 1);
      texts.emplace_back("ERROR");
      const std::string name = std::to_string(count) + (areAlike ? " alike" : " words");
      cases.push_back({name, &load, Filter(texts, false, false), false});
    }
  }
}

// With the literals that the planner finds in them (src/core/expression/plan.ts).
void addRegexes(std::vector<Case>& cases, const Load& load) {
  const auto add = [&](const char* name, const std::string& source, const char* literal) {
    Filter filter(program(regexNode(source), literalsOf({literal})));
    cases.push_back({name, &load, std::move(filter), false});
  };
  add("/ERROR host-\\d+/", R"(ERROR host-\\d+)", "ERROR host-");
  add("/timeout=99\\d\\d/", R"(timeout=99\\d\\d)", "timeout=99");
  struct End {
    const char* source;
    const char* literal;  // What of it stands beside the word.
  };
  static const End ENDS[] = {{R"(=[45]\\d\\d)", "="},
                             {R"( .*failed$)", " "},
                             {R"(\\[\\d+\\]: (denied|refused))", "["}};
  for (const bool areAlike : {false, true}) {
    std::vector<std::string> nodes{regexNode(R"(ERROR host-\\d+ .*svc)")};
    std::vector<std::string> literals{"ERROR host-"};
    const std::vector<std::string> some = areAlike ? alike(99) : words(99);
    for (size_t index = 0; index < some.size(); index++) {
      const End& end = ENDS[index % std::size(ENDS)];
      nodes.push_back(regexNode((index % 4 == 0 ? R"(\\b)" : "") + some[index] + end.source));
      literals.push_back(some[index] + end.literal);
    }
    Filter filter(program(join("any", nodes), literalsOf(literals)));
    const char* const name = areAlike ? "100 regexes, alike" : "100 regexes, words";
    cases.push_back({name, &load, std::move(filter), false});
  }
  // One of which the planner finds nothing makes Vectorscan search for all.
  std::vector<std::string> nodes;
  for (const std::string& word : words(100)) nodes.push_back(regexNode(word + R"(=[45]\\d\\d)"));
  cases.push_back({"100 regexes, no literal", &load, Filter(program(join("any", nodes))), false});
}

void addFields(std::vector<Case>& cases, const Load& load) {
  cases.push_back({"ERROR", &load, Filter({"ERROR"}, false, false), true});
  const std::string level = fieldNode("level", "equals", "ERROR");
  const std::string notHealth = R"({"kind":"not","of":)" + bytesNode("health") + "}";
  const std::string both = join("all", {level, notHealth});
  cases.push_back({"level:ERROR and not \"health\"", &load,
                   Filter(program(both, literalsOf({"ERROR", "\\u"}))), false});
  cases.push_back(
      {"status >= 500", &load, Filter(program(fieldNode("status", ">=", "500"))), false});
  const std::string many =
      join("any", {fieldNode("status", ">=", "500"), fieldNode("latency_ms", ">", "1000"),
                   fieldNode("service.name", "equals", "billing"), fieldNode("retries", ">", "3")});
  cases.push_back({"four fields", &load, Filter(program(many)), false});
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.1;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  std::vector<std::unique_ptr<Load>> loads;
  std::vector<Case> cases;
  for (const size_t size : {size_t{100}, size_t{1000}}) {
    loads.push_back(linesOf(size));
    addLiterals(cases, *loads.back());
    addRegexes(cases, *loads.back());
  }
  loads.push_back(jsonOf());
  addFields(cases, *loads.back());
  for (int round = 0; round < rounds; round++) {
    for (Case& one : cases) runOnce(one, seconds);
  }
  std::printf("%-12s %-30s %6s %8s %8s  %s\n", "load", "filter", "hits", "GB/s", "ratio", "search");
  double base = 0;
  for (Case& one : cases) {
    const double rate = one.median();
    if (one.isBase) base = rate;
    std::printf("%-12s %-30s %6zu %8.2f %8.2f  %s\n", one.load->name.c_str(), one.name.c_str(),
                one.hits, rate, rate / base, one.filter.describe().c_str());
  }
}
