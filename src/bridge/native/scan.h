// The hits of one batch: which of its records the matcher keeps. Plain C++20 but for batch.h.
//
// The bytes of the batch are searched as they lie: keys, headers and framing hold what looks like a
// pattern too, so a place counts only within one record's value. A batch in which the pattern is
// nowhere is not walked at all; to a place that was found, the records before it are skipped by
// their lengths. Where every record must be decided (an inverted match, no pattern) each is read.
#pragma once

#include "batch.h"
#include "matcher.h"

namespace logpipe {

class BatchScan {
 public:
  // Both must outlive it.
  BatchScan(const Batch& batch, const Matcher& matcher);

  // Moves to the next hit; false when there is none, or when the batch is broken before it.
  bool next();
  const BatchRecord& record() const { return reader_.record(); }
  // How many records came before this one.
  int32_t index() const { return reader_.index(); }
  bool isBroken() const { return reader_.isBroken(); }

 private:
  bool holdsPattern(const Bytes& value);
  void search(const uint8_t* from);

  const Matcher* matcher_;
  const uint8_t* end_;
  BatchReader reader_;
  Place place_{nullptr, 0};  // The first one at or behind where was searched last.
};

}  // namespace logpipe
