// From records to stretches of memory and back: the part of a kernel that knows of records.
// Included with each kernel (see matcher-kernel.h), so that its search is inlined.

// Searches [begin, end), which holds the records [index, ...) and what lies between them.
template <typename Search>
TARGET inline void scanStretch(const Search& search, const Span* records, size_t index,
                               const uint8_t* begin, const uint8_t* end, Hits& hits) {
  const uint8_t* at = begin;
  while (true) {
    const Place place = search.find(at, end);
    if (place.at == nullptr) return;
    // The record that the place starts in, or the next one. There is one: the last one of the
    // stretch ends at its end.
    while (isBlank(records[index]) || endOf(records[index]) <= place.at) index++;
    const Span& record = records[index];
    if (place.at >= record.data && place.at + place.size <= endOf(record)) {
      hits.add(index);
      at = endOf(record);
      index++;
    } else {
      // In a gap, or across the record's end: perhaps another one lies behind it.
      at = place.at < record.data ? record.data : place.at + 1;
    }
  }
}

template <typename Search>
TARGET size_t scan(const MatcherPlan& plan, const Span* records, size_t count, int32_t* out,
                   size_t gapMax) {
  const Search search(plan);
  Hits hits(out, plan.invert);
  size_t index = 0;
  while (index < count) {
    const size_t firstIndex = index++;
    if (isBlank(records[firstIndex])) continue;
    const uint8_t* end = endOf(records[firstIndex]);
    for (; index < count; index++) {
      if (isBlank(records[index])) continue;
      // Wraps to a huge gap when the record lies before.
      if (addressOf(records[index].data) - addressOf(end) > gapMax) break;
      end = endOf(records[index]);
    }
    scanStretch(search, records, firstIndex, records[firstIndex].data, end, hits);
  }
  return hits.finish(count);
}
