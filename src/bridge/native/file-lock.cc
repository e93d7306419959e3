// flock(2): see file-lock.h.
#include "file-lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "failure.h"

namespace logpipe {
namespace {

const char* errnoName(int number) {
  switch (number) {
    case EACCES: return "EACCES";
    case EDQUOT: return "EDQUOT";
    case EISDIR: return "EISDIR";
    case ELOOP: return "ELOOP";
    case EMFILE: return "EMFILE";
    case ENAMETOOLONG: return "ENAMETOOLONG";
    case ENFILE: return "ENFILE";
    case ENOENT: return "ENOENT";
    case ENOLCK: return "ENOLCK";
    case ENOSPC: return "ENOSPC";
    case ENOTDIR: return "ENOTDIR";
    case EPERM: return "EPERM";
    case EROFS: return "EROFS";
    default: return "EIO";
  }
}

[[noreturn]] void refuse(const char* doing, const std::string& path, int number) {
  throw Refused(errnoName(number),
                std::string(doing) + " " + path + ": " + std::strerror(number));
}

}  // namespace

std::unique_ptr<FileLock> FileLock::take(const std::string& path) {
  // Opened for reading and writing: flock over NFS needs the latter.
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
  if (descriptor == -1) refuse("cannot open the lock file", path, errno);
  int result;
  do {
    result = flock(descriptor, LOCK_EX | LOCK_NB);
  } while (result == -1 && errno == EINTR);
  if (result == 0) return std::unique_ptr<FileLock>(new FileLock(descriptor));
  const int number = errno;
  close(descriptor);
  if (number == EWOULDBLOCK) return nullptr;
  refuse("cannot lock", path, number);
}

FileLock::~FileLock() { close(descriptor_); }

}  // namespace logpipe
