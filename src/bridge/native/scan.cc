// Finding the hits of a batch: see scan.h.
#include "scan.h"

#include <algorithm>

namespace logpipe {

Places::Places(const Filter& filter, const Bytes& bytes)
    : matcher_(filter.literals() == nullptr ? nullptr : filter.literals()->matcher()),
      begin_(bytes.data),
      end_(bytes.end()),
      foundMax_(bytes.size / DENSE_BYTES + 64) {
  if (matcher_ != nullptr || bytes.size == 0) return;
  struct Search {
    Places& places;
    const LiteralSet* literals;
  } search{*this, filter.literals()};
  if (search.literals != nullptr) {
    search.literals->scan(
        begin_, bytes.size,
        [](void* context, uint32_t id, size_t at) {
          const auto& search = *static_cast<const Search*>(context);
          return search.places.note(at, search.literals->sizeOf(id));
        },
        &search);
  } else if (filter.database() != nullptr) {
    // Of a match only its last byte is known.
    filter.database()->scan(
        begin_, bytes.size,
        [](void* context, uint32_t, size_t end) {
          return static_cast<const Search*>(context)->places.note(end - 1, 1);
        },
        &search);
  }
  if (isDense_) found_.clear();
  if (isSorted_) return;
  // Of several at one place the shortest comes first: see Place.
  std::sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
    return a.at != b.at ? a.at < b.at : a.size < b.size;
  });
}

// False: there are too many.
bool Places::note(size_t at, size_t size) {
  isDense_ = found_.size() == foundMax_;
  if (isDense_) return false;
  const Found one{static_cast<uint32_t>(at), static_cast<uint32_t>(size)};
  if (!found_.empty() && found_.back().at >= one.at) isSorted_ = false;
  found_.push_back(one);
  return true;
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
  if (filter.literals() != nullptr || filter.database() != nullptr) search(batch.bytes.data);
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
