// The search, written once and compiled for each instruction set: matcher.cc includes this file
// several times, each time in another namespace that offers
//   TARGET           the function attribute that permits the instructions
//   Vec, WIDTH       a vector, and its bytes
//   load splat bitAnd bitOr bitsEqual
//   bits(Vec)        a mask with one bit set for each byte that is 0xff (bytes are that or 0),
//   BIT_STRIDE       and how many bits of the mask a byte takes
//   narrow::         the namespace that searches what is shorter than a vector
// No include guard, by intent. Nothing outside [at, end) is loaded.

// Where a pattern's two rarest bytes are, at WIDTH places at once.
template <bool FOLD>
class Rare {
 public:
  TARGET explicit Rare(const Pattern& pattern)
      : firstAt_(pattern.rareFirst),
        secondAt_(pattern.rareSecond),
        first_(splat(pattern.bytes[firstAt_])),
        second_(splat(pattern.bytes[secondAt_])),
        foldFirst_(splat(pattern.fold[firstAt_])),
        foldSecond_(splat(pattern.fold[secondAt_])) {}

  // 0xff where both are.
  TARGET inline Vec places(const uint8_t* at) const {
    Vec a = load(at + firstAt_);
    Vec b = load(at + secondAt_);
    if constexpr (FOLD) {
      a = bitOr(a, foldFirst_);
      b = bitOr(b, foldSecond_);
    }
    return bitAnd(bitsEqual(a, first_), bitsEqual(b, second_));
  }

 private:
  const size_t firstAt_, secondAt_;
  const Vec first_, second_, foldFirst_, foldSecond_;
};

// The one pattern.
template <bool FOLD>
class One {
 public:
  TARGET explicit One(const MatcherPlan& plan)
      : pattern_(plan.patterns[0]), size_(pattern_.bytes.size()), rare_(pattern_), narrow_(plan) {}

  TARGET Place find(const uint8_t* at, const uint8_t* end) const {
    const size_t left = static_cast<size_t>(end - at);
    if (left < size_ + WIDTH - 1) return narrow_.find(at, end);
    const uint8_t* const last = end - size_ + 1 - WIDTH;  // where the last vector begins
    // Two vectors a turn: one test for both.
    for (; at + WIDTH <= last; at += 2 * WIDTH) {
      const Vec near = rare_.places(at);
      const Vec far = rare_.places(at + WIDTH);
      if (bits(bitOr(near, far)) == 0) continue;
      const uint8_t* found = confirm<FOLD, BIT_STRIDE>(pattern_, at, bits(near));
      if (found == nullptr) found = confirm<FOLD, BIT_STRIDE>(pattern_, at + WIDTH, bits(far));
      if (found != nullptr) return {found, size_};
    }
    // At most a vector and a part are left; the last one goes back over places already seen
    // rather than past the end.
    for (; at < last + WIDTH; at += WIDTH) {
      if (at > last) at = last;
      const auto mask = bits(rare_.places(at));
      if (mask == 0) continue;
      const uint8_t* found = confirm<FOLD, BIT_STRIDE>(pattern_, at, mask);
      if (found != nullptr) return {found, size_};
    }
    return {nullptr, 0};
  }

 private:
  const Pattern& pattern_;
  const size_t size_;
  const Rare<FOLD> rare_;
  const narrow::One<FOLD> narrow_;
};

// A few patterns, each by its own two bytes.
template <bool FOLD, size_t COUNT>
class Few {
 public:
  TARGET explicit Few(const MatcherPlan& plan)
      : Few(plan, std::make_index_sequence<COUNT>()) {}

  TARGET Place find(const uint8_t* at, const uint8_t* end) const {
    const size_t reach = plan_.reach + 2 * WIDTH;
    for (; static_cast<size_t>(end - at) >= reach; at += 2 * WIDTH) {
      const Vec near = places(at);
      const Vec far = places(at + WIDTH);
      if (bits(bitOr(near, far)) == 0) continue;
      Place found = confirmAny<FOLD, BIT_STRIDE>(plan_, at, end, bits(near));
      if (found.at == nullptr) {
        found = confirmAny<FOLD, BIT_STRIDE>(plan_, at + WIDTH, end, bits(far));
      }
      if (found.at != nullptr) return found;
    }
    return narrow_.find(at, end);
  }

 private:
  template <size_t... I>
  TARGET Few(const MatcherPlan& plan, std::index_sequence<I...>)
      : plan_(plan), rare_{Rare<FOLD>(plan.patterns[I])...}, narrow_(plan) {}

  TARGET inline Vec places(const uint8_t* at) const {
    Vec any = rare_[0].places(at);
    for (size_t i = 1; i < COUNT; i++) any = bitOr(any, rare_[i].places(at));
    return any;
  }

  const MatcherPlan& plan_;
  const Rare<FOLD> rare_[COUNT];
  const narrow::Few<FOLD, COUNT> narrow_;
};

// Two patterns of which one has a byte that logs hardly hold: it is looked for by that alone, among
// the bytes that are loaded for the other. Where the byte comes often after all, as the backslash
// does in JSON within JSON, they are the usual two.
template <bool FOLD>
class Lone {
 public:
  TARGET explicit Lone(const MatcherPlan& plan)
      : plan_(plan), pair_(plan, std::make_index_sequence<2>()), both_(plan) {}

  TARGET Place find(const uint8_t* at, const uint8_t* end) const {
    // What a vector in vain is worth, and how much is so before anything is known.
    constexpr std::ptrdiff_t VAIN_BYTES = 1024;
    constexpr std::ptrdiff_t VAIN_MAX = 8 * VAIN_BYTES;
    const uint8_t* const begin = at;
    std::ptrdiff_t inVain = 0;
    const size_t reach = plan_.reach + 2 * WIDTH;
    for (; static_cast<size_t>(end - at) >= reach; at += 2 * WIDTH) {
      const Vec near = pair_.places(at);
      const Vec far = pair_.places(at + WIDTH);
      if (bits(bitOr(near, far)) == 0) continue;
      Place found = confirmAny<FOLD, BIT_STRIDE>(plan_, at, end, bits(near));
      if (found.at == nullptr) {
        found = confirmAny<FOLD, BIT_STRIDE>(plan_, at + WIDTH, end, bits(far));
      }
      if (found.at != nullptr) return found;
      inVain += VAIN_BYTES;
      if (inVain > VAIN_MAX + (at - begin)) break;
    }
    return both_.find(at, end);
  }

 private:
  class Pair {
   public:
    template <size_t... I>
    TARGET Pair(const MatcherPlan& plan, std::index_sequence<I...>)
        : sharedAt_(plan.loneAt),
          otherAt_(other(plan).rareFirst + other(plan).rareSecond - plan.loneAt),
          lone_(splat(plan.patterns[plan.lone].bytes[plan.loneAt])),
          bytes_{splat(other(plan).bytes[I == 0 ? sharedAt_ : otherAt_])...},
          folds_{splat(other(plan).fold[I == 0 ? sharedAt_ : otherAt_])...} {}

    TARGET inline Vec places(const uint8_t* at) const {
      const Vec loaded = load(at + sharedAt_);
      Vec a = loaded;
      Vec b = load(at + otherAt_);
      if constexpr (FOLD) {
        a = bitOr(a, folds_[0]);
        b = bitOr(b, folds_[1]);
      }
      const Vec pair = bitAnd(bitsEqual(a, bytes_[0]), bitsEqual(b, bytes_[1]));
      return bitOr(pair, bitsEqual(loaded, lone_));
    }

   private:
    static const Pattern& other(const MatcherPlan& plan) { return plan.patterns[1 - plan.lone]; }

    const size_t sharedAt_, otherAt_;
    const Vec lone_, bytes_[2], folds_[2];
  };

  const MatcherPlan& plan_;
  const Pair pair_;
  const Few<FOLD, 2> both_;
};

template <typename Search>
TARGET Place find(const MatcherPlan& plan, const uint8_t* at, const uint8_t* end) {
  return Search(plan).find(at, end);
}
