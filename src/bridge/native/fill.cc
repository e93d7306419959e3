// Filling of a slot: how much to take, and what it covers.
#include <algorithm>

#include "consumer.h"
#include "failure.h"

namespace logpipe {
namespace {

// Batches of one call: a pull takes a queue's lock for each of them, so more would gain nothing,
// and what does not fit into the slot is kept in the stash, with the memory it holds.
constexpr size_t PULL_MAX = 128;

// Batches that polls may take without a slot to put them in. They are made while the partitions
// are paused, when nothing comes.
constexpr size_t STASH_POLL_MAX = 64;

}  // namespace

int32_t Consumer::eventsFlag() const {
  client_->reportFatal();
  return client_->events.empty() ? 0 : layout::FILL_EVENTS;
}

// rd_kafka_consume_batch_queue() waits until as many as were asked for came, or the time is over.
// So it is asked without a time-out, and for one alone when there is nothing.
int32_t Consumer::fill(Pool& pool, double slotIndex, const FillLimits& limits) {
  const Pool::Use use(pool, slotIndex);
  use.require(layout::SLOT_FILLING, layout::SLOT_FILLING);
  Pool::Held& held = use.held();
  pool.release(held);  // What the caller left in it.
  use.slot().clear();
  if (!pool.waitForRoom(limits.heldMax, limits.timeoutMs)) return layout::FILL_FULL + eventsFlag();
  bool mayWait = true;
  size_t popped = 0;
  for (;;) {
    const size_t want = pullCount(held, limits);
    if (want == 0) break;
    if (!stash_.empty()) {
      if (!place(pool, held, stash_.front())) break;
      stash_.pop();
      continue;
    }
    // What is thrown away (batches of an assignment that ended) must not keep the call for ever.
    if (popped >= 2 * limits.recordsMax) break;
    size_t count = stash_.pull(client_->queue(), want, 0);
    if (count == 0) {
      if (!mayWait || !held.batches.empty() || !client_->events.empty()) break;
      mayWait = false;
      count = stash_.pull(client_->queue(), 1, limits.timeoutMs);
      if (count == 0) break;
    }
    popped += count;
  }
  pool.finish(use);
  const auto count = static_cast<double>(held.batches.size());
  if (count > 0) {
    meanBytes_ = std::max(1.0, 0.8 * meanBytes_ + 0.2 * static_cast<double>(held.bytes) / count);
    meanRecords_ = std::max(1.0, 0.8 * meanRecords_ + 0.2 * held.records / count);
  }
  return held.records + eventsFlag();
}

// How many batches may fill the rest of the slot; 0: it is full.
size_t Consumer::pullCount(const Pool::Held& held, const FillLimits& limits) const {
  const auto records = static_cast<size_t>(held.records);
  if (records >= limits.recordsMax || held.bytes >= limits.bytesMax) return 0;
  const double byRecords = static_cast<double>(limits.recordsMax - records) / meanRecords_;
  const double byBytes = static_cast<double>(limits.bytesMax - held.bytes) / meanBytes_;
  const auto want = static_cast<size_t>(std::min(byRecords, byBytes));
  return std::clamp<size_t>(want, 1, std::min(limits.pullMax, PULL_MAX));
}

// False: it begins a run, and the slot has as many as it may: it is the first of the next slot.
bool Consumer::place(Pool& pool, Pool::Held& held, Stash::Entry& entry) {
  Batch& batch = entry.batch;
  Assignment& assignment = *entry.assignment;
  if (batch.message->err || entry.isDamaged) {  // Its place is behind what was read before.
    if (batch.message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      pushEnd(assignment, batch.message->offset);
    } else {
      pushUnreadable(entry);
    }
    rd_kafka_message_destroy(batch.message);
    return true;
  }
  batch.narrow(assignment.expected, assignment.stop);
  const bool isLast = batch.to >= assignment.stop;
  if (batch.records == 0) {
    if (isLast && !assignment.isStopped) pushEnd(assignment, assignment.stop);
    assignment.isStopped |= isLast;
    rd_kafka_message_destroy(batch.message);
    return true;
  }
  // Offsets that do not exist belong to the run behind them. Those below the low watermark were
  // deleted by retention, which the caller counts as loss: they begin a run that says so.
  const bool hasGap = batch.from > assignment.expected;
  const int64_t low = hasGap ? lowWatermark(assignment) : -1;
  const int32_t mark = assignment.past.read(batch.leaderEpoch, batch.from, batch.to);
  const bool isOther = held.runs.empty() || held.runs.back().assignmentId != assignment.id ||
                       held.runs.back().markEpoch != mark;
  const bool isNew = isOther || (hasGap && low > assignment.expected);
  if (isNew && held.runs.size() == layout::RUNS_MAX) return false;
  layout::Run run{};
  run.assignmentId = assignment.id;
  run.markEpoch = mark;
  run.coverFrom = static_cast<double>(assignment.expected);
  run.lowWatermark = static_cast<double>(low);
  pool.add(held, batch, client_, isNew ? &run : nullptr);
  assignment.expected = batch.to;
  assignment.isStopped |= isLast;
  return true;
}

void Consumer::pushEnd(const Assignment& assignment, int64_t offset) {
  Event event;
  event.kind = Event::Kind::End;
  event.assignmentId = assignment.id;
  event.offset = offset;
  client_->events.push(std::move(event));
}

// An error, or a batch that is damaged: librdkafka's offset of that is the batch's last.
void Consumer::pushUnreadable(const Stash::Entry& entry) {
  const Batch& batch = entry.batch;
  Event event;
  event.kind = Event::Kind::Unreadable;
  event.assignmentId = entry.assignment->id;
  event.offset = entry.isDamaged ? batch.base : batch.message->offset;
  const auto error = entry.isDamaged ? RD_KAFKA_RESP_ERR__BAD_MSG : batch.message->err;
  event.code = rd_kafka_err2name(error);
  event.message = entry.isDamaged ? batch.damage() : rd_kafka_message_errstr(batch.message);
  client_->events.push(std::move(event));
}

// Read after the pull that brought the batch behind the gap, and once for each pull: librdkafka
// updates it before it hands on the batches of the same response.
int64_t Consumer::lowWatermark(Assignment& assignment) {
  if (assignment.lowPull == stash_.pulls()) return assignment.low;
  int64_t low = -1;
  int64_t high = -1;
  const auto error = rd_kafka_get_watermark_offsets(client_->handle(), assignment.topic.c_str(),
                                                    assignment.partition, &low, &high);
  assignment.low = error || low < 0 ? -1 : low;
  assignment.lowPull = stash_.pulls();
  return assignment.low;
}

// Takes one batch at most, into the stash. With the stash full it only tells librdkafka that the
// member lives (a pop of none); a rebalance then waits for a free slot, or for the caller to pause.
int32_t Consumer::poll(int timeoutMs) {
  const size_t want = stash_.size() < STASH_POLL_MAX ? 1 : 0;
  const bool mayWait = want > 0 && client_->events.empty();
  stash_.pull(client_->queue(), want, mayWait ? timeoutMs : 0);
  return eventsFlag();
}

}  // namespace logpipe
