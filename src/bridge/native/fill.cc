// Filling of a slot: how much to take, in which form, and what it covers.
#include <algorithm>

#include "consumer.h"
#include "failure.h"

namespace logpipe {
namespace {

// Records smaller than this on average are copied: a view's price is per record (each message is
// kept until the scan), a copy's is per byte, and the two meet at a few hundred.
constexpr double VIEW_MEAN_BYTES_MIN = 512;

// Records that polls may take without a slot to put them in. The caller polls some 20 times a
// second while it stalls, and pauses its partitions after seconds: two hundred is what it takes.
constexpr size_t STASH_POLL_MAX = 1024;

}  // namespace

int32_t Consumer::eventsFlag() const {
  client_->reportFatal();
  return client_->events.empty() ? 0 : layout::FILL_EVENTS;
}

// rd_kafka_consume_batch_queue() waits until its batch is full or the time is over, so it is asked
// without a time-out, but for one record when there is nothing.
int32_t Consumer::fill(Pool& pool, double slotIndex, const FillLimits& limits) {
  const Pool::Use use(pool, slotIndex);
  use.require(layout::SLOT_FILLING, layout::SLOT_FILLING);
  if (limits.recordsMax > pool.shape().recordsMax || limits.bytesMax > pool.shape().bufferBytes) {
    throw Misuse("the limits are larger than the pool's slots");
  }
  pool.release(use.held());  // What the caller left in it gives its view back first.
  const bool view = meanBytes_ >= VIEW_MEAN_BYTES_MIN && pool.tryAddView(limits.viewsMax);
  SlotWriter writer(pool, use, {limits.recordsMax, limits.bytesMax}, view, copied_);
  bool mayWait = true;
  size_t popped = 0;
  for (;;) {
    if (!stash_.empty()) {
      if (!place(writer, stash_.front(), pool.shape().bufferBytes)) break;
      stash_.pop();
      continue;
    }
    // What is thrown away (records of an assignment that ended) must not keep the call for ever.
    if (writer.isFull() || popped >= 2 * limits.recordsMax) break;
    const auto byBytes = static_cast<size_t>(static_cast<double>(writer.bytesLeft()) / meanBytes_);
    const size_t want =
        std::max<size_t>(1, std::min({limits.pullMax, writer.recordsLeft(), byBytes}));
    size_t count = stash_.pull(client_->queue(), want, 0);
    if (count == 0) {
      if (!mayWait || writer.records() > 0 || !client_->events.empty()) break;
      mayWait = false;
      count = stash_.pull(client_->queue(), 1, limits.timeoutMs);
      if (count == 0) {
        client_->returns.clear();  // No answer of a broker may come for long.
        break;
      }
    }
    popped += count;
  }
  writer.finish();
  client_->returns.give(copied_);
  if (writer.records() > 0) {
    const double mean =
        static_cast<double>(writer.bytes()) / static_cast<double>(writer.records());
    meanBytes_ = std::max(1.0, 0.8 * meanBytes_ + 0.2 * mean);
  }
  return static_cast<int32_t>(writer.records()) + eventsFlag();
}

// False: it does not fit, and is the first of the next slot.
bool Consumer::place(SlotWriter& writer, Stash::Entry& entry, size_t bufferBytes) {
  rd_kafka_message_t* message = entry.message;
  Assignment& assignment = *entry.assignment;
  if (message->err) {  // In the stash to keep its place behind what was read before.
    const bool isEnd = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    Event event;
    event.kind = isEnd ? Event::Kind::End : Event::Kind::Unreadable;
    event.assignmentId = assignment.id;
    event.offset = message->offset;
    if (!isEnd) {
      event.code = rd_kafka_err2name(message->err);
      event.message = rd_kafka_message_errstr(message);
    }
    client_->events.push(std::move(event));
    rd_kafka_message_destroy(message);
    return true;
  }
  const Headers headers = headersOf(message);
  const size_t recordBytes = message->len + message->key_len + headers.bytes;
  if (recordBytes > bufferBytes && writer.records() > 0) return false;
  // Offsets that do not exist belong to the run behind them. Those below the low watermark were
  // deleted by retention, which the caller counts as loss: they begin a run that says so.
  const bool hasGap = message->offset > assignment.expected;
  const int64_t low = hasGap ? lowWatermark(assignment) : -1;
  const bool newRun = !writer.continues(assignment.id) || (hasGap && low > assignment.expected);
  if (!writer.fits(recordBytes, newRun)) return false;
  if (!headers.wellFormed) {
    client_->events.error(RD_KAFKA_RESP_ERR__BAD_MSG,
                          "the headers of a record cannot be parsed: it is delivered without",
                          assignment.topic.c_str(), assignment.partition, message->offset);
  }
  const int64_t next = message->offset + 1;
  writer.add(message, headers,
             SlotWriter::Cover{assignment.id, static_cast<double>(assignment.expected),
                               static_cast<double>(next), static_cast<double>(low), newRun},
             client_);
  assignment.expected = next;
  return true;
}

// Read after the pull that brought the record behind the gap, and once for each pull: librdkafka
// updates it before it hands the records of the same response on.
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

// Takes one record at most, into the stash. With the stash full it only tells librdkafka that the
// member lives (a pop of none); a rebalance then waits for a free slot, or for the caller to pause.
int32_t Consumer::poll(int timeoutMs) {
  const size_t want = stash_.size() < STASH_POLL_MAX ? 1 : 0;
  const bool mayWait = want > 0 && client_->events.empty();
  stash_.pull(client_->queue(), want, mayWait ? timeoutMs : 0);
  return eventsFlag();
}

}  // namespace logpipe
