// What the process has open, by id: shared by the files of the face.
#pragma once

#include "consumer.h"
#include "file-lock.h"
#include "filter.h"
#include "json-fields.h"
#include "mock.h"
#include "pool.h"
#include "registry.h"

namespace logpipe::face {

inline Registry<Pool>& pools() { return forever<Registry<Pool>>("pool", false); }
inline Registry<Consumer>& consumers() { return forever<Registry<Consumer>>("consumer", true); }
inline Registry<Filter>& matchers() { return forever<Registry<Filter>>("matcher", false); }
// Paths, and the slot of each in their order.
struct NumberedPaths {
  FieldPaths tree;
  std::vector<uint32_t> slots;
};
inline Registry<NumberedPaths>& fieldPaths() {
  return forever<Registry<NumberedPaths>>("fields", false);
}
inline Registry<Mock>& mocks() { return forever<Registry<Mock>>("mock", false); }
inline Registry<FileLock>& fileLocks() { return forever<Registry<FileLock>>("lock", true); }

}  // namespace logpipe::face
