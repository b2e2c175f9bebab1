/* The driver's calls for modules and launches without a GPU: a module is a library of kernels for this CPU.
 *
 * Statuses are those of the CUDA Driver API's documentation: 0 success, 1 invalid value, 200 invalid image,
 * 500 not found. A launch runs at once, which is an order that a stream is allowed to have.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void run_two(const unsigned *, const unsigned *, void *, void *);
typedef void run_one(const unsigned *, const unsigned *, void *);
struct function { void *run; const char *kind; };
enum { THREADS = 8 };

int cuModuleLoadData(void **module, const void *image)
{
    *module = dlopen(image, RTLD_NOW);
    return *module ? 0 : 200;
}

int cuModuleUnload(void *module) { return module ? dlclose(module) : 1; }

int cuModuleGetFunction(void **found, void *module, const char *name)
{
    static const char *const kinds[] = {"livegate_letterbox", "livegate_face_crops", "livegate_face_detection"};
    static struct function functions[3];
    char run[100];
    int i;
    for (i = 0; i < 3; i++)
        if (!strcmp(kinds[i], name)) {
            snprintf(run, sizeof run, "run_%s", name);
            functions[i].run = dlsym(module, run);
            functions[i].kind = kinds[i];
            *found = &functions[i];
            return functions[i].run ? 0 : 500;
        }
    return 500;
}

int cuLaunchKernel(struct function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned shared, void *stream, void **arguments, void **extra)
{
    unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
    if (!stream || shared || extra || !bx || !gx) return 1;
    if (!strcmp(f->kind, "livegate_letterbox"))
        ((run_two *)f->run)(grid, block, arguments[0], arguments[1]);
    else if (!strcmp(f->kind, "livegate_face_crops"))
        ((run_two *)f->run)(grid, block, arguments[0], *(void **)arguments[1]);
    else {
        block[0] = THREADS; /* any number gives the same answer; each is a thread of this CPU */
        ((run_one *)f->run)(grid, block, arguments[0]);
    }
    return 0;
}
