// Which of many alternatives a value may meet: see shortlist.h.
#include "shortlist.h"

namespace logpipe {

void Shortlist::needsOneOf(size_t alternative, const std::vector<Literal>& literals) {
  for (const Literal& literal : literals) {
    const auto number = static_cast<uint32_t>(literals_.size());
    const auto [place, isNew] = numbers_.try_emplace({literal.bytes, literal.ignoreCase}, number);
    if (isNew) {
      literals_.push_back(literal);
      alternativesOf_.emplace_back();
    }
    alternativesOf_[place->second].push_back(static_cast<uint16_t>(alternative));
  }
}

bool Shortlist::finish() {
  if (always_.size() < WORTHWHILE || literals_.empty()) return false;
  try {
    search_ = std::make_unique<LiteralSet>(literals_);
  } catch (const RegexFault&) {
    return false;  // Too large together: each is asked.
  }
  return true;
}

void Shortlist::search(const uint8_t* data, size_t size, std::vector<uint8_t>& may) const {
  struct Found {
    const Shortlist& list;
    std::vector<uint8_t>& may;
  } found{*this, may};
  may = always_;
  search_->scan(
      data, size,
      [](void* context, uint32_t id, size_t) {
        auto& about = *static_cast<Found*>(context);
        for (const uint16_t one : about.list.alternativesOf_[id]) about.may[one] = 1;
        return true;
      },
      &found);
}

}  // namespace logpipe
