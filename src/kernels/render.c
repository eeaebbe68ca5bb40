/* render: a picture by ray tracing: mirroring balls on a chequered floor under the sky (T. Whitted,
 * "An improved illumination model for shaded display", CACM 23, 1980).
 *
 * Generate: uint8, rows x columns x 3 (red, green, blue). For each pixel, samples x samples rays
 * leave the camera; what they hit is lit by a lamp (Lambert's cosine, unless another ball is in the
 * way), and reflects: colour = own + share * colour of the reflected ray, up to `depth`
 * reflections. The balls are scattered by the seed. Chunks of sky cost a ray a sample, those of
 * balls that mirror balls many: reduces to `rays`, how many were traced, those towards the lamp
 * included.
 *
 * Computed in double with the four operations and sqrt, which IEEE 754 rounds exactly; so a pixel
 * is the same on every machine and in every chunk. Colours are linear until the end, then their
 * root is taken (a gamma of 2), scaled to 0 .. 255 and clamped. Lengths are in radii of a middling
 * ball.
 */
#include "banquet/kernel.h"

#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { ROWS, COLUMNS, BALLS, DEPTH, SAMPLES, SEED };
enum { MAX_BALLS = 512 };

#define MAX_SIDE (1 << 16)
#define NEAR 1e-6 /* a ray starts a little above what it leaves */

static const struct bq_param params[] = {
    {"rows", BQ_INT, {.i = 720}, 1, MAX_SIDE, "elements", "height of the picture"},
    {"columns", BQ_INT, {.i = 1280}, 1, MAX_SIDE, "elements", "width of the picture"},
    {"balls", BQ_INT, {.i = 60}, 0, MAX_BALLS, "", "how many"},
    {"depth", BQ_INT, {.i = 5}, 0, 64, "", "reflections of reflections, at most"},
    {"samples", BQ_INT, {.i = 2}, 1, 16, "", "rays of a pixel in either direction"},
    {"seed", BQ_INT, {.i = 1}, 0, UINT32_MAX, "", "another seed, other balls"},
};

struct vector {
    double x, y, z; /* y is up */
};

struct ball {
    struct vector centre, colour;
    double radius, mirror;
};

struct scene {
    int n_balls;
    struct ball ball[MAX_BALLS];
    uint64_t rays;
};

struct hit {
    double distance;
    struct vector at, normal, colour;
    double mirror;
};

static const struct vector lamp = {-18, 30, -12};

static struct vector plus(struct vector a, double factor, struct vector b)
{
    return (struct vector){a.x + factor * b.x, a.y + factor * b.y, a.z + factor * b.z};
}

static double dot(struct vector a, struct vector b)
{
    return (a.x * b.x + a.y * b.y) + a.z * b.z;
}

static struct vector unit(struct vector a)
{
    double length = sqrt(dot(a, a));
    return (struct vector){a.x / length, a.y / length, a.z / length};
}

/* -- the scene ---------------------------------------------------------------------------- */

/* splitmix64 (G. Steele, D. Lea, C. Flood, 2014), as a number in [0, 1). */
static double dice(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static void set_scene(struct scene *scene, const union bq_value *p)
{
    uint64_t state = (uint64_t)p[SEED].i;
    scene->n_balls = (int)p[BALLS].i;
    scene->rays = 0;
    for (int i = 0; i < scene->n_balls; i++) {
        struct ball *ball = &scene->ball[i];
        ball->radius = 0.4 + 1.1 * dice(&state) * dice(&state);
        ball->centre.x = 22 * dice(&state) - 11;
        ball->centre.y = ball->radius + (dice(&state) < 0.2 ? 3 * dice(&state) : 0);
        ball->centre.z = 22 * dice(&state);
        ball->colour.x = 0.15 + 0.8 * dice(&state);
        ball->colour.y = 0.15 + 0.8 * dice(&state);
        ball->colour.z = 0.15 + 0.8 * dice(&state);
        ball->mirror = 0.1 + 0.7 * dice(&state);
    }
}

/* The distance at which a ray of unit direction enters a ball, or leaves it when it starts inside;
 * 0 if it misses. */
static double meets(const struct ball *ball, struct vector from, struct vector towards)
{
    const struct vector way = plus(ball->centre, -1, from);
    const double middle = dot(way, towards);
    const double square = middle * middle - dot(way, way) + ball->radius * ball->radius;
    if (square <= 0)
        return 0;
    const double half = sqrt(square);
    const double first = middle - half, second = middle + half;
    return first > NEAR ? first : second > NEAR ? second : 0;
}

static bool is_shaded(struct scene *scene, struct vector from, struct vector towards, double until)
{
    scene->rays++;
    for (int i = 0; i < scene->n_balls; i++) {
        double distance = meets(&scene->ball[i], from, towards);
        if (distance > 0 && distance < until)
            return true;
    }
    return false;
}

/* The nearest ball or the floor; false: the sky. */
static bool hits(struct scene *scene, struct vector from, struct vector towards, struct hit *hit)
{
    const struct ball *nearest = NULL;
    scene->rays++;
    hit->distance = towards.y < 0 ? -from.y / towards.y : 0;
    bool is_floor = hit->distance > NEAR && hit->distance < 400;
    double best = is_floor ? hit->distance : 1e300;
    for (int i = 0; i < scene->n_balls; i++) {
        double distance = meets(&scene->ball[i], from, towards);
        if (distance > 0 && distance < best) {
            best = distance;
            nearest = &scene->ball[i];
        }
    }
    hit->distance = best;
    hit->at = plus(from, best, towards);
    if (nearest) {
        hit->normal = unit(plus(hit->at, -1, nearest->centre));
        hit->colour = nearest->colour;
        hit->mirror = nearest->mirror;
        return true;
    }
    if (!is_floor)
        return false;
    const bool is_dark = ((int64_t)floor(hit->at.x * 0.5) + (int64_t)floor(hit->at.z * 0.5)) % 2;
    hit->at.y = 0;
    hit->normal = (struct vector){0, 1, 0};
    hit->colour = is_dark ? (struct vector){0.08, 0.08, 0.1} : (struct vector){0.8, 0.78, 0.7};
    hit->mirror = 0.15;
    return true;
}

/* -- light -------------------------------------------------------------------------------- */

static struct vector sky(struct vector towards)
{
    double height = towards.y > 0 ? towards.y : 0;
    return (struct vector){0.75 - 0.6 * height, 0.85 - 0.45 * height, 0.95 - 0.2 * height};
}

static struct vector traced(struct scene *scene, struct vector from, struct vector towards,
                            int64_t depth)
{
    struct vector colour = {0, 0, 0};
    double share = 1;
    for (int64_t bounce = 0;; bounce++) {
        struct hit hit;
        if (!hits(scene, from, towards, &hit))
            return plus(colour, share, sky(towards));
        struct vector above = plus(hit.at, NEAR, hit.normal);
        struct vector way = plus(lamp, -1, above);
        double far = sqrt(dot(way, way)), light = 0.12; /* of the sky, from everywhere */
        double cosine = dot(way, hit.normal) / far;
        if (cosine > 0 && !is_shaded(scene, above, unit(way), far))
            light += 0.88 * cosine;
        bool is_last = bounce >= depth;
        colour = plus(colour, share * light * (is_last ? 1 : 1 - hit.mirror), hit.colour);
        if (is_last)
            return colour;
        share *= hit.mirror;
        towards = unit(plus(towards, -2 * dot(towards, hit.normal), hit.normal));
        from = above;
    }
}

static uint8_t level(double linear)
{
    double v = 255 * sqrt(linear) + 0.5;
    return (uint8_t)(v < 255 ? v : 255);
}

/* The camera stands above the near edge of the floor and looks a little down. */
static void draw(struct scene *scene, const union bq_value *p, uint64_t row, uint64_t column,
                 uint8_t pixel[3])
{
    const struct vector eye = {0, 3.2, -9};
    const struct vector ahead = unit((struct vector){0, -0.16, 1});
    const struct vector up = unit((struct vector){0, 1, 0.16});
    const double rows = (double)p[ROWS].i, columns = (double)p[COLUMNS].i;
    const int64_t side = p[SAMPLES].i;
    struct vector sum = {0, 0, 0};
    for (int64_t k = 0; k < side * side; k++) {
        double y = (double)row + ((double)(k / side) + 0.5) / (double)side;
        double x = (double)column + ((double)(k % side) + 0.5) / (double)side;
        struct vector towards = plus(ahead, (rows / 2 - y) / rows, up);
        towards.x += (x - columns / 2) / rows;
        sum = plus(sum, 1, traced(scene, eye, unit(towards), p[DEPTH].i));
    }
    const double n = (double)(side * side);
    pixel[0] = level(sum.x / n);
    pixel[1] = level(sum.y / n);
    pixel[2] = level(sum.z / n);
}

/* -- the kernel --------------------------------------------------------------------------- */

static int prepare(struct bq_setup *setup)
{
    const union bq_value *p = setup->params;
    setup->space = (struct bq_space){3, {(uint64_t)p[ROWS].i, (uint64_t)p[COLUMNS].i, 3}};
    setup->chunk = (struct bq_space){3, {64, 64, 3}};
    setup->is_whole[2] = true;
    setup->out_type = BQ_U8;
    setup->acc_size = sizeof(uint64_t);
    return 0;
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *out = call->out;
    uint8_t *picture = out->data;
    struct scene scene;
    set_scene(&scene, call->params);
    for (uint64_t row = 0; row < out->extent[0]; row++) {
        for (uint64_t column = 0; column < out->extent[1]; column++) {
            uint8_t pixel[3];
            draw(&scene, call->params, out->offset[0] + row, out->offset[1] + column, pixel);
            for (unsigned k = 0; picture && k < 3; k++)
                picture[3 * (row * out->extent[1] + column) + k] = pixel[k];
        }
    }
    *(uint64_t *)call->acc = scene.rays;
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    *(uint64_t *)into += *(const uint64_t *)next;
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    (void)values;
    sink->integer(sink, "rays", *(const uint64_t *)acc);
}

const struct bq_kernel bq_kernel_render = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_WRITES | BQ_MAKES,
    .name = "render",
    .summary = "traces rays through a scene of mirroring balls: chunks of very uneven cost",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
