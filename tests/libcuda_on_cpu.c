/* A driver without a GPU: the calls that cuda-python makes for us, over memory of the process.
 *
 * NVIDIA's own bindings load it as libcuda.so.1, so that what they do with our arguments is run for real:
 * handles, addresses, sizes, flags. Statuses are those of the CUDA Driver API's documentation. Streams work
 * at once, which is an order that they are allowed to have; while one captures, its copies are kept instead.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define TOTAL (8ull << 30)
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, INVALID_CONTEXT = 201 };

static __thread int depth;
static unsigned long long taken;

struct block { unsigned long long size; };

static int take(void **address, unsigned long long size)
{
    struct block *block;
    if (!depth) return INVALID_CONTEXT;
    if (!size) return INVALID_VALUE;
    if (size > TOTAL - taken) return OUT_OF_MEMORY;
    block = malloc(sizeof *block + size);
    if (!block) return OUT_OF_MEMORY;
    block->size = size;
    taken += size;
    *address = block + 1;
    return SUCCESS;
}

static int give(void *address)
{
    struct block *block = (struct block *)address - 1;
    if (!depth) return INVALID_CONTEXT;
    if (!address) return INVALID_VALUE;
    taken -= block->size;
    free(block);
    return SUCCESS;
}

int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long long flags, int *status)
{
    (void)version; (void)flags;
    *function = dlsym(RTLD_DEFAULT, name);
    if (status) *status = *function ? 0 : 1;
    return *function ? SUCCESS : 500;
}

int cuGetProcAddress(const char *name, void **function, int version, unsigned long long flags)
{
    return cuGetProcAddress_v2(name, function, version, flags, 0);
}

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }
int cuDriverGetVersion(int *version) { *version = 12060; return SUCCESS; }
int cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { *device = 0; return ordinal ? INVALID_DEVICE : SUCCESS; }

int cuDeviceGetName(char *name, int length, int device)
{
    (void)device;
    strncpy(name, "CPU", length);
    return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    (void)device;
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 18 || attribute == 19 || attribute == 99;
    return SUCCESS;
}

int cuDeviceTotalMem(size_t *bytes, int device) { (void)device; *bytes = TOTAL; return SUCCESS; }
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = &depth; return SUCCESS; }
int cuCtxPushCurrent(void *context) { depth++; return context ? SUCCESS : INVALID_CONTEXT; }

int cuCtxPopCurrent(void **context)
{
    if (!depth) return INVALID_CONTEXT;
    depth--;
    if (context) *context = &depth;
    return SUCCESS;
}

int cuMemGetInfo(size_t *available, size_t *total)
{
    *available = TOTAL - taken;
    *total = TOTAL;
    return depth ? SUCCESS : INVALID_CONTEXT;
}

int cuMemAlloc(unsigned long long *address, size_t size) { return take((void **)address, size); }
int cuMemFree(unsigned long long address) { return give((void *)address); }
int cuMemHostAlloc(void **address, size_t size, unsigned flags) { (void)flags; return take(address, size); }
int cuMemFreeHost(void *address) { return give(address); }

/* Whole pages, and only the flag that we ask for: CU_MEMHOSTREGISTER_DEVICEMAP. */
static void *registered;
/* From the host's address of it to the device's: whoever confuses them is seen. */
#define MAPPED_APART (1ull << 46)

int cuMemHostRegister(void *memory, size_t size, unsigned flags)
{
    if (!depth) return INVALID_CONTEXT;
    if (registered || flags != 2 || !size || (size_t)memory % 4096 || size % 4096) return INVALID_VALUE;
    registered = memory;
    return SUCCESS;
}

int cuMemHostGetDevicePointer(unsigned long long *address, void *memory, unsigned flags)
{
    *address = (unsigned long long)memory + MAPPED_APART;
    return memory && memory == registered && !flags ? SUCCESS : INVALID_VALUE;
}

int cuMemHostUnregister(void *memory)
{
    if (!memory || memory != registered) return INVALID_VALUE;
    registered = 0;
    return SUCCESS;
}

#define MAX_COPIES 8
struct copies { int count; struct { void *target; const void *source; size_t size; } one[MAX_COPIES]; };
static struct copies *captured;
static void *capturing;

static int copy(void *target, const void *source, size_t size, void *stream)
{
    if (!stream) return INVALID_VALUE;
    if (stream != capturing) { memcpy(target, source, size); return SUCCESS; }
    if (captured->count == MAX_COPIES) return OUT_OF_MEMORY;
    captured->one[captured->count].target = target;
    captured->one[captured->count].source = source;
    captured->one[captured->count++].size = size;
    return SUCCESS;
}

int cuMemcpyHtoDAsync(unsigned long long target, const void *source, size_t size, void *stream)
{
    return copy((void *)target, source, size, stream);
}

int cuMemcpyDtoHAsync(void *target, unsigned long long source, size_t size, void *stream)
{
    return copy(target, (void *)source, size, stream);
}

/* Only the mode that we ask for: CU_STREAM_CAPTURE_MODE_THREAD_LOCAL. */
int cuStreamBeginCapture(void *stream, int mode)
{
    if (!stream || capturing || mode != 1) return INVALID_VALUE;
    capturing = stream;
    captured = calloc(1, sizeof *captured);
    return captured ? SUCCESS : OUT_OF_MEMORY;
}

int cuStreamEndCapture(void *stream, void **graph)
{
    if (stream != capturing) return INVALID_VALUE;
    *graph = captured;
    capturing = 0;
    return SUCCESS;
}

/* What the bindings call for cuGraphInstantiate(graph, flags). */
int cuGraphInstantiateWithFlags(void **made, void *graph, unsigned long long flags)
{
    struct copies *own = malloc(sizeof *own);
    if (!own) return OUT_OF_MEMORY;
    if (!graph || flags) { free(own); return INVALID_VALUE; }
    *own = *(struct copies *)graph;
    *made = own;
    return SUCCESS;
}

int cuGraphLaunch(void *made, void *stream)
{
    struct copies *own = made;
    int number, status = own ? SUCCESS : INVALID_VALUE;
    for (number = 0; status == SUCCESS && number < own->count; number++)
        status = copy(own->one[number].target, own->one[number].source, own->one[number].size, stream);
    return status;
}

int cuGraphDestroy(void *graph) { free(graph); return graph ? SUCCESS : INVALID_VALUE; }
int cuGraphExecDestroy(void *made) { free(made); return made ? SUCCESS : INVALID_VALUE; }

/* Only a flag that we ask for: CU_STREAM_NON_BLOCKING, CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING. */
int cuStreamCreate(void **stream, unsigned flags)
{
    *stream = malloc(1);
    return !depth ? INVALID_CONTEXT : flags == 1 ? SUCCESS : INVALID_VALUE;
}

int cuEventCreate(void **event, unsigned flags)
{
    *event = malloc(1);
    return !depth ? INVALID_CONTEXT : flags == 3 ? SUCCESS : INVALID_VALUE;
}

int cuStreamDestroy(void *stream) { free(stream); return SUCCESS; }
int cuEventDestroy(void *event) { free(event); return SUCCESS; }
int cuEventRecord(void *event, void *stream) { return event && stream ? SUCCESS : INVALID_VALUE; }
int cuEventSynchronize(void *event) { return event ? SUCCESS : INVALID_VALUE; }
