// What was read of a partition's log so far, by which it shows that the log was cut off.
//
// Offset and leader epoch together name a record: a leader gives each offset once. Offsets alone do
// so only until an unclean election cuts off records that were read: then records of a later epoch
// come at offsets that were read before. From that epoch on the records are marked by it, in all
// that is made of them (src/core/log-id.ts), so that none is taken for one that was cut off.
#pragma once

#include <algorithm>
#include <cstdint>

namespace logpipe {

struct LogPast {
  int32_t epoch = -1;     // The latest of a record that was read; -1: unknown.
  int64_t readTo = 0;     // From here on nothing was read.
  int32_t markFrom = -1;  // Records of this epoch and later ones are marked; -1: the log is whole.

  // Records of [from, to) are read. Returns the epoch to mark them by, or -1. A second call with
  // the same records changes nothing.
  int32_t read(int32_t batchEpoch, int64_t from, int64_t to) {
    if (batchEpoch > epoch) {
      const bool isCut = epoch >= 0 && from < readTo;
      if (isCut && markFrom < 0) markFrom = epoch + 1;
      epoch = batchEpoch;
    }
    readTo = std::max(readTo, to);
    return markFrom >= 0 && batchEpoch >= markFrom ? batchEpoch : -1;
  }
};

}  // namespace logpipe
