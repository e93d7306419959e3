// The bridge's core without Node, under sanitizers: consumers, scanners and closers in threads.
//
//   bridge-test [SEED] [RECORDS [SCENARIO]]      bash test/native/run.sh builds and runs it
//
// Every scenario knows which record stands at which offset, so what is missing, double, torn or
// joined from two aborts with the line that saw it.
#include <chrono>
#include <cstdio>
#include <random>

#include "file-lock.h"
#include "world.h"

namespace world {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<int32_t> nextAssignmentId{1};

// Mostly small, so that many a fill ends with records that were popped and did not fit: pauses and
// rebalances must meet those too.
FillLimits limits(std::minstd_rand& random) {
  const size_t bytesMax = random() % 4 == 0 ? BUFFER_BYTES : 1000 + random() % 6000;
  return {1 + random() % 500, bytesMax, 1 + random() % 200, static_cast<int>(random() % 20),
          8 * BUFFER_BYTES};
}

void deadline(Clock::time_point started) {
  CHECK(Clock::now() - started < std::chrono::seconds(40));
}

// Partitions are read by hand, and paused, resumed and sought to where they are at random. Pausing
// throws away what was fetched and what is in the stash: still each offset comes exactly once.
void pauseAndResume(unsigned seed, int64_t records) {
  const int32_t partitions = 4;
  Mock mock(3, {{"t", partitions}});
  produce(mock, "t", partitions, records);
  Books books;
  Line line(books, 6, 2);
  const auto started = Clock::now();
  std::vector<std::thread> readers;
  for (int32_t reader = 0; reader < 2; reader++) {
    readers.emplace_back([&, reader] {
      std::minstd_rand random(seed + static_cast<unsigned>(reader));
      auto consumer = std::make_unique<Consumer>(
          config(mock, "pause", {{"queued.min.messages", "200"}}), std::vector<std::string>{});
      std::vector<AssignedPartition> mine;
      for (int32_t partition = reader; partition < partitions; partition += 2) {
        AssignedPartition row;
        row.topic = "t";
        row.partition = partition;
        // The first partition's start is a logical offset, known with its first record.
        row.offset = partition == 0 ? int64_t{RD_KAFKA_OFFSET_BEGINNING} : 0;
        row.assignmentId = nextAssignmentId++;
        books.assigned(row.assignmentId, partition, 0);
        mine.push_back(row);
      }
      consumer->assign(mine);
      const auto isDone = [&] {
        for (const auto& row : mine) {
          if (books.next(row.partition) < records) return false;
        }
        return true;
      };
      std::set<int32_t> paused;
      while (!isDone()) {
        deadline(started);
        const AssignedPartition& row = mine[random() % mine.size()];
        const auto action = random() % 12;
        if (action == 0) {
          consumer->pause({row.assignmentId});
          paused.insert(row.assignmentId);
        } else if (action <= 2) {
          consumer->resume({row.assignmentId});
          paused.erase(row.assignmentId);
        } else if (action == 3) {
          consumer->poll(static_cast<int>(random() % 5));
        } else if (action == 4 && random() % 4 == 0 && books.next(row.partition) > 0) {
          consumer->seek(row.assignmentId, books.next(row.partition));
        }
        const int slot = line.take();
        const int32_t filled = consumer->fill(line.pool(), slot, limits(random));
        for (const Event& event : consumer->events()) {
          std::fprintf(stderr, "event %d %s %s\n", static_cast<int>(event.kind),
                       event.code.c_str(), event.message.c_str());
          CHECK(event.kind == Event::Kind::Error && !event.fatal);
        }
        const layout::Slot got = line.slot(slot);
        for (int run = 0; run < got.word(layout::HEADER_RUNS); run++) {
          CHECK(paused.count(got.run(static_cast<size_t>(run)).assignmentId) == 0);
        }
        if ((filled & ~layout::FILL_EVENTS) == 0) {
          line.giveBack(slot);
        } else {
          line.pass(slot);
        }
      }
      CHECK(Consumer::close(std::move(consumer), 30000));
    });
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(books.covered() == records * partitions);
}

// Members of a group come and go while records flow. Each goes on where the partition's last owner
// was: so each offset comes exactly once over all members, or a revoked partition went on
// delivering.
void rebalance(unsigned seed, int64_t records, const Properties& protocol) {
  const int32_t partitions = 6;
  Mock mock(3, {{"t", partitions}});
  Books books;
  Line line(books, 8, 2);
  const auto started = Clock::now();
  std::atomic<bool> isProduced{false};
  std::atomic<int> assigns{0};
  std::thread producer([&] {
    // A part of the records for each change of the assignment, so that records flow during all.
    const int64_t part = (records + 9) / 10;
    for (int64_t from = 0; from < records; from += part) {
      while (assigns <= from / part) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      produce(mock, "t", partitions, std::min(part, records - from), from);
    }
    isProduced = true;
  });
  std::vector<std::thread> members;
  for (unsigned member = 0; member < 2; member++) {
    members.emplace_back([&, member] {
      std::minstd_rand random(seed + 100 + member);
      while (!(isProduced && books.covered() == records * partitions)) {
        auto consumer = std::make_unique<Consumer>(config(mock, "rebalance", protocol),
                                                   std::vector<std::string>{"t"});
        // Not before it is in: a member that goes while it joins is waited for by the coordinator
        // until its session is over.
        auto leaveAt = Clock::time_point::max();
        while ((member == 0 || Clock::now() < leaveAt) &&
               !(isProduced && books.covered() == records * partitions)) {
          deadline(started);
          const int slot = line.take();
          const int32_t filled = consumer->fill(line.pool(), slot, limits(random));
          if ((filled & ~layout::FILL_EVENTS) == 0) {
            line.giveBack(slot);
          } else {
            line.pass(slot);
          }
          for (const Event& event : consumer->events()) {
            if (event.kind == Event::Kind::Assign) {
              std::vector<AssignedPartition> rows;
              for (const PartitionResult& given : event.partitions) {
                AssignedPartition row;
                row.topic = given.topic;
                row.partition = given.partition;
                row.offset = books.next(given.partition);
                row.assignmentId = nextAssignmentId++;
                books.assigned(row.assignmentId, row.partition, row.offset);
                rows.push_back(row);
              }
              consumer->assign(rows);
              leaveAt = std::min(
                  leaveAt, Clock::now() + std::chrono::milliseconds(10 + random() % 300));
              assigns++;
            } else if (event.kind == Event::Kind::Revoke) {
              CHECK(!event.lost);
              const std::vector<PartitionOffset> rows(event.partitions.begin(),
                                                      event.partitions.end());
              consumer->unassign(rows);
            } else {
              CHECK(event.kind == Event::Kind::Error && !event.fatal);
            }
          }
        }
        CHECK(Consumer::close(std::move(consumer), 30000));
      }
    });
  }
  for (std::thread& member : members) member.join();
  producer.join();
  CHECK(books.covered() == records * partitions);
  std::printf("  %d assignments, %lld hits\n", assigns.load(),
              static_cast<long long>(line.hits.load()));
}

// A slot keeps its messages legal after its consumer's close, which waits for it in the background.
void closeWithHeldSlots() {
  Mock mock(1, {{"t", 1}});
  produce(mock, "t", 1, 300);
  Books books;
  Line line(books, 2, 0);
  for (const bool scans : {true, false}) {
    auto consumer = std::make_unique<Consumer>(config(mock, "close"), std::vector<std::string>{});
    AssignedPartition row;
    row.topic = "t";
    row.partition = 0;
    row.offset = 0;
    row.assignmentId = nextAssignmentId++;
    consumer->assign({row});
    const int slot = line.take();
    const auto started = Clock::now();
    while (line.pool().bytes() == 0) {
      deadline(started);
      consumer->fill(line.pool(), slot, {200, BUFFER_BYTES, 50, 20, 1 << 20});
    }
    CHECK(!Consumer::close(std::move(consumer), 300));
    const Filter all({}, false, false);
    while (scans && line.pool().bytes() > 0) line.pool().scan(slot, [&] { return all; });
    if (!scans) line.pool().discard(slot);
    CHECK(line.pool().bytes() == 0);
    line.giveBack(slot);
  }
}

AssignedPartition firstPartition(Books& books, int64_t offset) {
  AssignedPartition row;
  row.topic = "t";
  row.partition = 0;
  row.offset = offset;
  row.assignmentId = nextAssignmentId++;
  books.assigned(row.assignmentId, 0, offset);
  return row;
}

// What was popped for an assignment and did not fit into a slot ends with it, also when the
// partition comes back at once: it would look like the first record behind a gap.
void assignAgain() {
  Mock mock(1, {{"t", 1}});
  produce(mock, "t", 1, 400);
  Books books;
  Line line(books, 2, 1);
  auto consumer = std::make_unique<Consumer>(config(mock, "again"), std::vector<std::string>{});
  const auto started = Clock::now();
  while (books.next(0) < 400) {
    consumer->assign({firstPartition(books, books.next(0))});
    for (int fills = 0; fills < 3 && books.next(0) < 400;) {
      deadline(started);
      const int slot = line.take();
      const int32_t count = consumer->fill(line.pool(), slot, {50, 3000, 50, 20, 1 << 20});
      CHECK(consumer->events().empty());
      if (count > 0) {
        line.pass(slot);
        fills++;
      } else {
        line.giveBack(slot);
      }
    }
    consumer->unassign({});
  }
  CHECK(Consumer::close(std::move(consumer), 30000));
}

// A topic made anew: nothing of it is delivered in the old assignment, which says so once; all of
// it is in the one that takes its place.
void madeAnew() {
  Mock mock(1, {{"t", 1}});
  produce(mock, "t", 1, 200);
  Books books;
  Books anew;
  Line line(books, 2, 1);
  auto consumer = std::make_unique<Consumer>(
      config(mock, "rewind", {{"topic.metadata.refresh.interval.ms", "100"}}),
      std::vector<std::string>{});
  const auto started = Clock::now();
  bool isRewound = false;
  consumer->assign({firstPartition(books, 0)});
  while (books.next(0) < 200) {
    deadline(started);
    const int slot = line.take();
    if (consumer->fill(line.pool(), slot, {50, 3000, 50, 20, 1 << 20}) > 0) {
      line.pass(slot);
    } else {
      line.giveBack(slot);
    }
  }
  CHECK(rd_kafka_mock_topic_delete(mock.cluster(), "t") == RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(rd_kafka_mock_topic_create(mock.cluster(), "t", 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
  produce(mock, "t", 1, 50);
  while (!isRewound) {
    deadline(started);
    const int slot = line.take();
    const int32_t filled = consumer->fill(line.pool(), slot, {50, 3000, 50, 20, 1 << 20});
    CHECK((filled & ~layout::FILL_EVENTS) == 0);
    line.giveBack(slot);
    for (const Event& event : consumer->events()) {
      if (event.kind != Event::Kind::Rewind) continue;
      CHECK(event.expected == 200 && event.offset == 0);
      isRewound = true;
      const int32_t newId = nextAssignmentId++;
      anew.assigned(newId, 0, 0);
      consumer->restart(event.assignmentId, newId, event.offset, true);
    }
  }
  Line second(anew, 2, 1);
  while (anew.next(0) < 50) {
    deadline(started);
    const int slot = second.take();
    if (consumer->fill(second.pool(), slot, {50, 3000, 50, 20, 1 << 20}) > 0) {
      second.pass(slot);
    } else {
      second.giveBack(slot);
    }
  }
  CHECK(Consumer::close(std::move(consumer), 30000));
}

// Offsets that retention deleted begin a run which names the low watermark.
void retention() {
  Mock mock(1, {{"t", 1}});
  produce(mock, "t", 1, 500);
  CHECK(rd_kafka_mock_partition_delete_records(mock.cluster(), "t", 0, 200) ==
        RD_KAFKA_RESP_ERR_NO_ERROR);
  Books books;
  Line line(books, 1, 0);
  auto consumer = std::make_unique<Consumer>(config(mock, "retention"), std::vector<std::string>{});
  AssignedPartition row;
  row.topic = "t";
  row.partition = 0;
  row.offset = 50;
  row.assignmentId = nextAssignmentId++;
  consumer->assign({row});
  const int slot = line.take();
  const auto started = Clock::now();
  int32_t count = 0;
  while (count == 0) {
    deadline(started);
    count = consumer->fill(line.pool(), slot, {400, BUFFER_BYTES, 50, 20, 1 << 20}) &
            ~layout::FILL_EVENTS;
  }
  const layout::Run& run = line.slot(slot).run(0);
  CHECK(run.coverFrom == 50 && run.coverTo > 200 && run.lowWatermark >= 200);
  CHECK(run.coverTo - run.records >= 200);
  line.pool().discard(slot);
  line.giveBack(slot);
  CHECK(Consumer::close(std::move(consumer), 30000));
}

void locks() {
  const std::string path = "/tmp/bridge-test-" + std::to_string(getpid()) + ".lock";
  auto first = FileLock::take(path);
  CHECK(first != nullptr && FileLock::take(path) == nullptr);
  first.reset();
  CHECK(FileLock::take(path) != nullptr);
  std::remove(path.c_str());
}

// Only the scenarios whose name holds this; empty: all.
std::string only;

void run(const char* name, const std::function<void()>& scenario) {
  if (std::string(name).find(only) == std::string::npos) return;
  const auto started = Clock::now();
  scenario();
  const std::chrono::duration<double> seconds = Clock::now() - started;
  std::printf("  %s: ok (%.1f s)\n", name, seconds.count());
  std::fflush(stdout);
}

}  // namespace
}  // namespace world

int main(int argc, char** argv) {
  using namespace world;
  const auto seed = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1U;
  const int64_t records = argc > 2 ? std::atoi(argv[2]) : 1500;
  if (argc > 3) only = argv[3];
  run("each offset once over random pauses", [&] { pauseAndResume(seed, records); });
  run("each offset once over cooperative rebalances", [&] {
    rebalance(seed, records, {{"partition.assignment.strategy", "cooperative-sticky"}});
  });
  run("each offset once over eager rebalances", [&] {
    rebalance(seed, records, {{"partition.assignment.strategy", "range"}});
  });
  run("an assignment's stash ends with it", assignAgain);
  run("a topic made anew is told", madeAnew);
  run("slots outlive their consumer", closeWithHeldSlots);
  run("retention is told from compaction", retention);
  run("locks exclude", locks);
  // Closings that went on in the background.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  return 0;
}
