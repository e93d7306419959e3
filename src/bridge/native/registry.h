// Ids to things, for the whole process: every thread that loads the add-on sees the same.
//
// A thing is used through a Lease, and can be closed only while nobody leases it: that is what
// makes a call with a closed id throw, and a close during a call throw, instead of touching freed
// memory.
// Ids start at 1 and are never used again. Registries are never destroyed (see `forever`): threads
// of librdkafka and of Node may still run while the process exits.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "failure.h"

namespace logpipe {

template <class T>
class Registry {
  struct Row {
    std::unique_ptr<T> thing;
    int leases = 0;
  };

 public:
  class Lease {
   public:
    Lease(Registry& registry, double id, T* thing) : registry_(registry), id_(id), thing_(thing) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { registry_.release(id_); }
    T* operator->() const { return thing_; }
    T& operator*() const { return *thing_; }

   private:
    Registry& registry_;
    double id_;
    T* thing_;
  };

  // `exclusive`: one lease at a time, so that a thing with no locks of its own is used by one
  // thread.
  Registry(const char* noun, bool exclusive) : noun_(noun), exclusive_(exclusive) {}

  double add(std::unique_ptr<T> thing) {
    std::lock_guard lock(mutex_);
    const double id = ++last_;
    rows_.emplace(id, Row{std::move(thing), 0});
    return id;
  }

  Lease lease(double id) {
    std::lock_guard lock(mutex_);
    Row& row = find(id);
    if (exclusive_ && row.leases > 0) throw Misuse(name(id) + " is in use by another thread");
    row.leases++;
    return Lease(*this, id, row.thing.get());
  }

  // Takes the thing out; its id is unknown from here on.
  std::unique_ptr<T> remove(double id) {
    std::lock_guard lock(mutex_);
    Row& row = find(id);
    if (row.leases > 0) throw Misuse(name(id) + " is in use by another thread");
    std::unique_ptr<T> thing = std::move(row.thing);
    rows_.erase(id);
    return thing;
  }

 private:
  Row& find(double id) {
    const auto found = rows_.find(id);
    if (found == rows_.end()) throw Misuse("no such " + name(id) + ", or it is closed");
    return found->second;
  }
  std::string name(double id) const {
    return std::string(noun_) + " " + std::to_string(static_cast<long long>(id));
  }
  void release(double id) {
    std::lock_guard lock(mutex_);
    rows_.at(id).leases--;
  }

  const char* noun_;
  bool exclusive_;
  std::mutex mutex_;
  double last_ = 0;
  std::unordered_map<double, Row> rows_;
};

// A process-wide object that is made at its first use and never destroyed.
template <class T, class... Args>
T& forever(Args... args) {
  static T* const thing = new T(args...);
  return *thing;
}

}  // namespace logpipe
