// Finding the hits of a batch: see scan.h.
#include "scan.h"

#include <algorithm>

namespace logpipe {

struct Places::Search {
  Places& places;
  const Filter& filter;
  size_t most;
  bool isSorted = true;
};

Places::Places(const Filter& filter, const Bytes& bytes)
    : matcher_(filter.matcher()), begin_(bytes.data), end_(bytes.end()) {
  if (filter.database() == nullptr || bytes.size == 0) return;
  constexpr size_t SOME = 64;
  Search search{*this, filter, bytes.size / DENSE_BYTES + SOME};
  filter.database()->scan(
      begin_, bytes.size,
      [](void* context, uint32_t id, size_t end) {
        auto& search = *static_cast<Search*>(context);
        auto& found = search.places.found_;
        if (found.size() == search.most) {
          search.places.isDense_ = true;
          return false;
        }
        const size_t size = search.filter.sizeOf(id);
        const Found one{static_cast<uint32_t>(end - size), static_cast<uint32_t>(size)};
        if (!found.empty() && found.back().at >= one.at) search.isSorted = false;
        found.push_back(one);
        return true;
      },
      &search);
  if (isDense_) found_.clear();
  if (search.isSorted) return;
  // Of several at one place the shortest comes first: see Place.
  std::sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
    return a.at != b.at ? a.at < b.at : a.size < b.size;
  });
}

Place Places::next(const uint8_t* from) {
  if (matcher_ != nullptr) return from == end_ ? Place{nullptr, 0} : matcher_->find(from, end_);
  while (nextFound_ < found_.size() && begin_ + found_[nextFound_].at < from) nextFound_++;
  if (nextFound_ == found_.size()) return {nullptr, 0};
  return {begin_ + found_[nextFound_].at, found_[nextFound_].size};
}

namespace {

RecordView::Text textOf(const Bytes& bytes) { return {bytes.data, bytes.size}; }

void eachHeaderOf(const void* record, RecordView::TakeHeader take, void* context) {
  static_cast<const BatchRecord*>(record)->eachHeader([&](const Bytes& name, const Bytes& value) {
    return take(context, {reinterpret_cast<const char*>(name.data), name.size}, textOf(value));
  });
}

}  // namespace

BatchScan::BatchScan(const Batch& batch, const Filter& filter)
    : batch_(&batch),
      filter_(&filter),
      way_(filter.way()),
      reader_(batch),
      places_(filter, batch.bytes),
      isSet_(filter.alternatives() > 0) {
  if (places_.isDense()) way_ = Filter::Way::Each;
  if (filter.matcher() != nullptr || filter.database() != nullptr) search(batch.bytes.data);
}

bool BatchScan::next() {
  switch (way_) {
    case Filter::Way::Every: return reader_.next();
    case Filter::Way::None: return false;
    case Filter::Way::Each:
      while (reader_.next()) {
        if (isKept()) return true;
      }
      return false;
    case Filter::Way::Inverted:
      while (reader_.next()) {
        if (!holdsPlace(reader_.record().value)) return true;
      }
      return false;
    default: break;
  }
  for (;;) {
    const uint8_t* seen = reader_.record().end;
    if (place_.at != nullptr && seen != nullptr && place_.at < seen) search(seen);
    if (place_.at == nullptr || !reader_.nextAt(place_.at)) return false;
    if (!holdsPlace(reader_.record().value)) continue;
    if (way_ == Filter::Way::Places || isKept()) return true;
  }
}

bool BatchScan::holdsPlace(const Bytes& value) {
  if (value.size == 0) return false;
  if (place_.at != nullptr && place_.at < value.data) search(value.data);
  while (place_.at != nullptr && place_.at < value.end()) {
    if (place_.at + place_.size <= value.end()) return true;
    search(place_.at + 1);  // It goes on into what lies behind the value.
  }
  return false;
}

bool BatchScan::isKept() {
  const BatchRecord& record = reader_.record();
  RecordView view;
  view.value = textOf(record.value);
  view.key = textOf(record.key);
  view.offset = record.offset;
  view.timestamp =
      batch_->timestampType == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : record.timestamp;
  view.headers = &record;
  view.eachHeader = eachHeaderOf;
  if (batch_->message != nullptr) {
    view.partition = batch_->message->partition;
    if (filter_->asksForTopic()) view.topic = rd_kafka_topic_name(batch_->message->rkt);
  }
  if (!isSet_) return filter_->keeps(view);
  filter_->judge(view, verdict_);
  if (!verdict_.hits.empty()) return true;
  if (verdict_.droppedBy != Verdict::NONE) {
    dropped_.push_back(static_cast<uint16_t>(verdict_.droppedBy));
  }
  return false;
}

void BatchScan::search(const uint8_t* from) { place_ = places_.next(from); }

}  // namespace logpipe
