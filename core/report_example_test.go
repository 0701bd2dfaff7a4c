package core_test

import (
	"context"
	"fmt"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
)

// Atlassian moves the sites of an app to one secret for all of them. Most have moved, and the team wants to know why the
// others have not.
func ExampleApp_Report() {
	ctx := context.Background()
	now := time.Date(2026, time.March, 31, 12, 0, 0, 0, time.UTC)
	appWide, err := core.NewSecret("one secret for the whole app")
	if err != nil {
		fmt.Println(err)
		return
	}
	own, err := core.NewSecret("a secret of the site's own")
	if err != nil {
		fmt.Println(err)
		return
	}
	bound := core.StoredSecret{Fingerprint: appWide.Fingerprint(), State: core.Usable, Bound: true, OfferedAt: now.AddDate(0, 0, -9)}
	kept := core.StoredSecret{Fingerprint: own.Fingerprint(), State: core.Usable, Value: own, OfferedAt: now.AddDate(-1, 0, 0)}

	store := memstore.New()
	for clientKey, row := range map[string]core.Installation{
		"acme":     {Secrets: []core.StoredSecret{kept, bound}},
		"globex":   {Secrets: []core.StoredSecret{kept, bound}},
		"hooli":    {Secrets: []core.StoredSecret{kept, bound}, Run: core.Run{Fingerprint: kept.Fingerprint, StartedAt: now}},
		"initech":  {Secrets: []core.StoredSecret{kept}, Watermark: now.AddDate(-1, 0, 0)},
		"umbrella": {Secrets: []core.StoredSecret{kept}},
	} {
		row.Key, row.State = core.Key{AppKey: "com.example.app", ClientKey: clientKey}, core.Installed
		if row.Watermark.IsZero() {
			row.Watermark = now.AddDate(0, 0, -9)
		}
		if _, err := store.Put(ctx, &row); err != nil {
			fmt.Println(err)
			return
		}
	}
	app, err := core.New(core.Config{
		AppKey: "com.example.app", BaseURL: "https://app.example", Store: store,
		AppSecrets: core.StaticSecrets{appWide}, Now: func() time.Time { return now },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer app.Close(ctx)

	report, err := app.Report(ctx, core.ReportOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d of %d live sites have moved: %.1f %%\n", report.OnTarget, report.Live, report.Percent)
	fmt.Printf("in the last week: %d, the last on %s\n", report.MovedLastWeek, report.LastMovedAt.Format(time.DateOnly))
	fmt.Println("idle:", report.ByLiveness[core.LivenessIdle].Total)
	for _, status := range report.Stragglers {
		fmt.Printf("%s: %s\n\t%s\n", status.ClientKey, status.Straggler, status.Straggler.Advice())
	}
	// Output:
	// 2 of 4 live sites have moved: 50.0 %
	// in the last week: 0, the last on 2026-03-22
	// idle: 1
	// hooli: went_back
	// 	Wait for the next callback, or let the site update the app: it missed the last answer, and kept its old secret.
	// umbrella: not_offered
	// 	Wait for Atlassian's callback, and ask Atlassian about it if other sites have moved long ago.
}
