// The search, written once and compiled for each instruction set: matcher.cc includes this file
// several times, each time in another namespace that offers
//   TARGET           the function attribute that permits the instructions
//   Vec, WIDTH       a vector, and its bytes
//   load loadTable store splat bitAnd bitOr bitsEqual shuffle lowHalf highHalf
//   bits(Vec)        a mask with one bit set for each byte that is 0xff (bytes are that or 0),
//   BIT_STRIDE       how many bits of the mask a byte takes,
//   ALL_BITS         and the mask of a vector full of 0xff
//   narrow::         the namespace that searches what is shorter than a vector
// No include guard, by intent. Nothing outside [at, end) is loaded.

// The one pattern: compares two of its bytes, the rarest, at WIDTH places at once.
template <bool FOLD>
class One {
 public:
  TARGET explicit One(const MatcherPlan& plan)
      : pattern_(plan.patterns[0]),
        size_(pattern_.bytes.size()),
        firstAt_(plan.rareFirst),
        secondAt_(plan.rareSecond),
        first_(splat(pattern_.bytes[firstAt_])),
        second_(splat(pattern_.bytes[secondAt_])),
        foldFirst_(splat(pattern_.fold[firstAt_])),
        foldSecond_(splat(pattern_.fold[secondAt_])),
        narrow_(plan) {}

  TARGET Place find(const uint8_t* at, const uint8_t* end) const {
    const size_t left = static_cast<size_t>(end - at);
    if (left < size_ + WIDTH - 1) return narrow_.find(at, end);
    const uint8_t* const last = end - size_ + 1 - WIDTH;  // where the last vector begins
    // Two vectors a turn: one test for both.
    for (; at + WIDTH <= last; at += 2 * WIDTH) {
      const Vec near = places(at);
      const Vec far = places(at + WIDTH);
      if (bits(bitOr(near, far)) == 0) continue;
      const uint8_t* found = confirm<FOLD, BIT_STRIDE>(pattern_, at, bits(near));
      if (found == nullptr) found = confirm<FOLD, BIT_STRIDE>(pattern_, at + WIDTH, bits(far));
      if (found != nullptr) return {found, size_};
    }
    // At most a vector and a part are left; the last one goes back over places already seen
    // rather than past the end.
    for (; at < last + WIDTH; at += WIDTH) {
      if (at > last) at = last;
      const auto mask = bits(places(at));
      if (mask == 0) continue;
      const uint8_t* found = confirm<FOLD, BIT_STRIDE>(pattern_, at, mask);
      if (found != nullptr) return {found, size_};
    }
    return {nullptr, 0};
  }

 private:
  // 0xff where both rare bytes are.
  TARGET inline Vec places(const uint8_t* at) const {
    Vec a = load(at + firstAt_);
    Vec b = load(at + secondAt_);
    if constexpr (FOLD) {
      a = bitOr(a, foldFirst_);
      b = bitOr(b, foldSecond_);
    }
    return bitAnd(bitsEqual(a, first_), bitsEqual(b, second_));
  }

  const Pattern& pattern_;
  const size_t size_, firstAt_, secondAt_;
  const Vec first_, second_, foldFirst_, foldSecond_;
  const narrow::One<FOLD> narrow_;
};

// Several patterns at once, as Hyperscan's "Teddy" does it: a place stays in a bucket when each of
// its first three bytes allows it, by its low half and by its high half.
template <bool FOLD>
class Any {
 public:
  TARGET explicit Any(const MatcherPlan& plan)
      : plan_(plan),
        shortest_(plan.shortest()),
        secondAt_(plan.fingerprint > 1 ? 1 : 0),
        thirdAt_(plan.fingerprint > 2 ? 2 : secondAt_),
        low_{loadTable(plan.low[0]), loadTable(plan.low[1]), loadTable(plan.low[2])},
        high_{loadTable(plan.high[0]), loadTable(plan.high[1]), loadTable(plan.high[2])},
        narrow_(plan) {}

  TARGET Place find(const uint8_t* at, const uint8_t* end) const {
    const size_t left = static_cast<size_t>(end - at);
    if (left < shortest_ + WIDTH - 1) return narrow_.find(at, end);
    const uint8_t* const last = end - shortest_ + 1 - WIDTH;
    const Vec none = splat(0);
    for (; at < last + WIDTH; at += WIDTH) {
      if (at > last) at = last;
      const Vec buckets = bucketsAt(at);
      const auto mask = ALL_BITS ^ bits(bitsEqual(buckets, none));
      if (mask == 0) continue;
      uint8_t each[WIDTH];
      store(each, buckets);
      const Place found = confirmAny<FOLD, BIT_STRIDE>(plan_, at, end, mask, each);
      if (found.at != nullptr) return found;
    }
    return {nullptr, 0};
  }

 private:
  TARGET inline Vec bucketsAt(const uint8_t* at) const {
    const Vec first = bucketsOf(0, load(at));
    const Vec second = bucketsOf(1, load(at + secondAt_));
    const Vec third = bucketsOf(2, load(at + thirdAt_));
    return bitAnd(first, bitAnd(second, third));
  }
  TARGET inline Vec bucketsOf(size_t i, Vec bytes) const {
    return bitAnd(shuffle(low_[i], lowHalf(bytes)), shuffle(high_[i], highHalf(bytes)));
  }

  const MatcherPlan& plan_;
  const size_t shortest_, secondAt_, thirdAt_;
  const Vec low_[FINGERPRINT_MAX], high_[FINGERPRINT_MAX];
  const narrow::Any<FOLD> narrow_;
};

template <typename Search>
TARGET Place find(const MatcherPlan& plan, const uint8_t* at, const uint8_t* end) {
  return Search(plan).find(at, end);
}
