// The hits of one batch: which of its records the filter keeps. Plain C++20 but for batch.h.
//
// The bytes of the batch are searched as they lie: keys, headers and framing hold what looks like a
// pattern too, so a place counts only within one record's value. A batch in which nothing is found
// is not walked at all; to a place that was found, the records before it are skipped by their
// lengths. Where every record must be decided (an inverted match, nothing to search for) each is
// read.
//
// More than a few literals, and regular expressions, are searched for in the whole batch at once,
// which tells the places in no promised order: they are noted and sorted. Where there are more than
// one for DENSE_BYTES bytes the search stops, and each record is evaluated: that is the bound of
// the memory, and costs less than going from place to place.
#pragma once

#include <vector>

#include "batch.h"
#include "filter.h"

namespace logpipe {

// The places of a batch that the filter's search finds, from the front to the end.
class Places {
 public:
  static constexpr size_t DENSE_BYTES = 64;

  Places(const Filter& filter, const Bytes& bytes);

  // The first place at or behind `from`; at == nullptr: there is none.
  Place next(const uint8_t* from);
  // There are too many to be of use, and `next` tells none.
  bool isDense() const { return isDense_; }

 private:
  struct Found {
    uint32_t at;
    uint32_t size;
  };

  bool note(size_t at, size_t size);

  const Matcher* matcher_;  // Null: what is found was noted.
  const uint8_t* begin_;
  const uint8_t* end_;
  std::vector<Found> found_;
  size_t nextFound_ = 0;
  size_t foundMax_;
  bool isSorted_ = true;
  bool isDense_ = false;
};

class BatchScan {
 public:
  // Both must outlive it.
  BatchScan(const Batch& batch, const Filter& filter);

  // Moves to the next hit; false when there is none, or when the batch is broken before it.
  bool next();
  const BatchRecord& record() const { return reader_.record(); }
  // How many records came before this one.
  int32_t index() const { return reader_.index(); }
  // Of a set of alternatives, which of them hold of it; of any other filter none are told.
  const Verdict& verdict() const { return verdict_; }
  // Which alternative dropped each record that was passed, of those that one has (expression.h).
  std::vector<uint16_t>& dropped() { return dropped_; }
  bool isBroken() const { return reader_.isBroken(); }

 private:
  bool holdsPlace(const Bytes& value);
  bool isKept();
  void search(const uint8_t* from);

  const Batch* batch_;
  const Filter* filter_;
  Filter::Way way_;
  BatchReader reader_;
  Places places_;
  bool isSet_;
  Verdict verdict_;
  std::vector<uint16_t> dropped_;
  Place place_{nullptr, 0};  // The first one at or behind where was searched last.
};

}  // namespace logpipe
