// Which of some literals are where in a stretch of bytes: the one search for literals, be they one
// or thousands. It knows neither records nor what the literals are for (filter.h, shortlist.h).
//
// One or two are left to a Matcher. Of more, a first look (byte-classes.h) passes places where one
// may be; a table of windows says which, and there it is compared in full. How much passes depends
// on the bytes: where it is more than WORK_MAX allows, Vectorscan goes on from there, which is
// slower where little passes and as fast where much does. So does it from the beginning where the
// literals are so many, and so different, that much would pass of any log.
//
// A LiteralSet never changes once it is made, so any number of threads may search with it at the
// same time. Nothing is allocated in a search, and nothing outside the stretch is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "matcher.h"
#include "vectorscan.h"

namespace logpipe {

struct Pattern;

// Bytes to search for. ignoreCase folds A-Z.
struct Literal {
  std::string bytes;
  bool ignoreCase = false;
};

class LiteralSet {
 public:
  // Throws std::invalid_argument when there is none, or an empty one.
  explicit LiteralSet(const std::vector<Literal>& literals);
  LiteralSet(const LiteralSet&) = delete;
  LiteralSet& operator=(const LiteralSet&) = delete;
  ~LiteralSet();

  // Calls take(context, id, at) for each place of each literal, which is the id-th, in no promised
  // order and some of them twice, until it returns false. data may be null when size is 0.
  using Take = bool (*)(void* context, uint32_t id, size_t at);
  void scan(const uint8_t* data, size_t size, Take take, void* context) const;
  bool holds(const uint8_t* data, size_t size) const;
  size_t sizeOf(uint32_t id) const;

  // Of one or two that fold alike: finds their places one after the other. Null: there are more.
  const Matcher* matcher() const { return matcher_.get(); }

  // For people: what it searches by.
  std::string describe() const;

  // For tests: by classes alone, with that kernel; throws std::invalid_argument where this machine
  // lacks it.
  LiteralSet(const std::vector<Literal>& literals, std::string_view kernel);

 private:
  class Classes;

  std::vector<Pattern> patterns_;  // By id.
  size_t longest_ = 0;
  // One of the first two, or the third alone; the third beside the second where it can be had.
  std::unique_ptr<Matcher> matcher_;
  std::unique_ptr<Classes> classes_;
  std::unique_ptr<Database> database_;
};

}  // namespace logpipe
