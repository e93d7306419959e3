// flock(2) as an object: exclusive, without waiting, released when it is destroyed.
//
// A pid file says nothing in a container, where every process is pid 1; the kernel's lock goes with
// the process, whatever ends it.
#pragma once

#include <memory>
#include <string>

namespace logpipe {

class FileLock {
 public:
  // Null when another open file holds it. Throws Refused (code: errno's name) when the file cannot
  // be opened.
  static std::unique_ptr<FileLock> take(const std::string& path);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace logpipe
