// Finding the hits of a batch: see scan.h.
#include "scan.h"

namespace logpipe {

BatchScan::BatchScan(const Batch& batch, const Matcher& matcher)
    : matcher_(&matcher), end_(batch.bytes.end()), reader_(batch) {
  if (matcher.hasPatterns()) search(batch.bytes.data);
}

bool BatchScan::next() {
  if (!matcher_->hasPatterns()) return !matcher_->isInverted() && reader_.next();
  if (matcher_->isInverted()) {
    while (reader_.next()) {
      if (!holdsPattern(reader_.record().value)) return true;
    }
    return false;
  }
  for (;;) {
    const uint8_t* seen = reader_.record().end;
    if (place_.at != nullptr && seen != nullptr && place_.at < seen) search(seen);
    if (place_.at == nullptr || !reader_.nextAt(place_.at)) return false;
    if (holdsPattern(reader_.record().value)) return true;
  }
}

bool BatchScan::holdsPattern(const Bytes& value) {
  if (value.size == 0) return false;
  if (place_.at != nullptr && place_.at < value.data) search(value.data);
  while (place_.at != nullptr && place_.at < value.end()) {
    if (place_.at + place_.size <= value.end()) return true;
    search(place_.at + 1);  // It goes on into what lies behind the value.
  }
  return false;
}

void BatchScan::search(const uint8_t* from) {
  place_ = from == end_ ? Place{nullptr, 0} : matcher_->find(from, end_);
}

}  // namespace logpipe
